"""What the documents name exists: paths, make targets, commands and their options, imports."""

from __future__ import annotations

import ast
import re
import runpy
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import typer

import liveedit
from liveedit.cli import app, remote

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PACKAGE = ROOT / "src" / "liveedit"

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_FOLDERS = r"(?:src|tests|docs|benchmarks|configs|results|\.ci)/"
_PATH = re.compile(rf"(?<![\w./-]){_FOLDERS}[\w./*-]*")
_MODULE = re.compile(r"[\w./-]+\.(?:py|tsv|j2|toml)")  # also from src/liveedit on
_COMMAND = re.compile(r"(?:^|[\s(`])liveedit (?=[a-z-])(.*)")
_MAKE = re.compile(r"(?:\w+=\S* )*make ([a-z-]+)")
_END = {"|", ">", "<", ";", "&&", "||", "&", ")"}


def missing_paths(text: str) -> list[str]:
    """Paths of the repository that are not there; a part in capitals or with * stands for any."""
    fenced = [code for language, code in _FENCED.findall(text) if language == "sh"]
    inline = _INLINE.findall(_FENCED.sub("", text))
    named = [path for code in (*fenced, *inline) for path in _PATH.findall(code)]
    missing = [path for path in named if not list(ROOT.glob(_fixed(path)))]
    modules = [code for code in inline if _MODULE.fullmatch(code) and not _PATH.fullmatch(code)]
    return missing + [
        path for path in modules if not any((at / path).exists() for at in (ROOT, PACKAGE))
    ]


def _fixed(path: str) -> str:
    """Up to the first part that is a placeholder, such as NAME."""
    parts = path.rstrip("./").split("/")
    placed = [at for at, part in enumerate(parts) if re.fullmatch(r"[A-Z]+(\.\w+)?", part)]
    return "/".join(parts[: placed[0]] if placed else parts)


def unknown_targets(text: str) -> list[str]:
    """Targets that the Makefile does not have."""
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    lines = [line for _, code in _FENCED.findall(text) for line in code.splitlines()]
    lines += _INLINE.findall(_FENCED.sub("", text))
    named = [found[1] for line in lines if (found := _MAKE.match(line))]
    return [name for name in named if name not in known]


def commands(text: str) -> Iterator[str]:
    """What follows ``liveedit`` wherever it is called."""
    for language, code in _FENCED.findall(text):
        if language in ("sh", ""):
            for line in code.replace("\\\n", " ").splitlines():
                yield from _COMMAND.findall(line)
    for code in _INLINE.findall(_FENCED.sub("", text)):
        yield from _COMMAND.findall(code)


def problem(command: str) -> str | None:
    """What is wrong with a command as far as its verbs and the names of its options go."""
    words = shlex.shlex(command, posix=True, punctuation_chars=True)
    words.whitespace_split, words.commenters = True, "#"
    root = remote.app if "--server" in command else app
    verb, verbs, options = typer.main.get_command(root), [], {"-h", "--help"}
    for word in words:
        if word in _END:
            break
        below = getattr(verb, "commands", None)
        if word.startswith("-"):
            options |= {name for one in verb.params for name in (*one.opts, *one.secondary_opts)}
            if word != "-" and word.partition("=")[0] not in options:
                return f"liveedit {' '.join(verbs)} has no option {word}"
        elif below is not None:
            if word not in below:
                return f"liveedit {' '.join(verbs)} has no verb {word}"
            verb = below[word]
            verbs.append(word)
    return None


def wrong_imports(text: str) -> list[str]:
    """Names that Python blocks import of liveedit, and that are not there."""
    wrong = []
    for language, code in _FENCED.findall(text):
        if language != "python":
            continue
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "liveedit":
                home = import_module(node.module)
                names = [one.name for one in node.names if not hasattr(home, one.name)]
                wrong += [f"{node.module}.{name}" for name in names]
    return wrong


@pytest.fixture(params=PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def text(request) -> str:
    return request.param.read_text(encoding="utf-8")


def test_every_path_is_there(text):
    assert missing_paths(text) == []


def test_every_make_target_is_there(text):
    assert unknown_targets(text) == []


def test_every_command_has_such_verbs_and_options(text):
    assert [wrong for command in commands(text) if (wrong := problem(command))] == []


def test_every_import_works(text):
    assert wrong_imports(text) == []


def test_every_room_is_told():
    """The tree in CONTRIBUTING has every folder and module of the package, and no other."""
    section = (ROOT / "CONTRIBUTING.md").read_text().partition("## Where things are")[2]
    tree = _FENCED.search(section)[2]
    told = re.findall(r"^  ([a-z_]+(?:/|\.py))", tree, re.MULTILINE)
    there = {f"{path.name}/" for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    there |= {path.name for path in PACKAGE.glob("[a-z]*.py")}
    assert sorted(told) == sorted(there)
    tops = re.findall(r"^([a-z]+/)(?: |$)", tree, re.MULTILINE)
    assert [top for top in tops if not (ROOT / top).is_dir()] == []


def test_the_reference_has_every_public_name():
    told = "".join(page.read_text() for page in (ROOT / "docs" / "api").glob("*.md"))
    assert [name for name in liveedit.__all__ if name not in told] == []


def test_the_pictures_are_those_that_are_drawn():
    drawn = runpy.run_path(str(ROOT / "docs" / "draw_pictures.py"))["pictures"]()
    assert {path.name: path.read_text() for path in drawn} == {
        path.name: text for path, text in drawn.items()
    }


def test_a_wrong_name_is_found():
    page = (
        "See `src/liveedit/methods/base.py`, `methods/base.py`, `src/liveedit/methods/NAME/x.py`,\n"
        "`src/liveedit/nowhere/NAME/`, `src/liveedit/expert.py`, `expert.py`, `results/*/none`.\n"
        "Call `make docs`, `make coffee`, `liveedit edit add --prompt Hm`, `liveedit mend it`.\n\n"
        "```sh\n"
        "make tea ARGS=-x\n"
        "python benchmarks/none.py\n"
        "liveedit bench run --edits 1,10 \\\n  --speed 3   # --not-an-option\n"
        "accelerate launch -m liveedit train --out runs --colour=red | grep --quiet editor\n"
        "name=$(liveedit edit search cup --json) && liveedit --version\n"
        "```\n\n"
        "```python\nfrom liveedit.methods.base import Method, Madness\n```\n"
    )
    assert sorted(missing_paths(page)) == [
        "benchmarks/none.py",
        "expert.py",
        "results/*/none",
        "src/liveedit/expert.py",
        "src/liveedit/nowhere/NAME/",
    ]
    assert unknown_targets(page) == ["tea", "coffee"]
    assert [problem(command) for command in commands(page)] == [
        "liveedit bench run has no option --speed",
        "liveedit train has no option --colour=red",
        None,
        None,
        "liveedit  has no verb mend",
    ]
    assert wrong_imports(page) == ["liveedit.methods.base.Madness"]
