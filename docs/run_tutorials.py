"""Run the tutorials: every code block is executed, and what it prints is compared with the page.

    python docs/run_tutorials.py                    # check all pages
    python docs/run_tutorials.py --write            # put output and pictures in place
    python docs/run_tutorials.py docs/tutorials/correct-a-model.md

Blocks marked ``python`` and ``sh`` run in order, in one temporary folder and one process a page.
What a block prints is in a block marked ``output`` after it. Names of edits, dates, seconds and
figures with decimals differ from one run or processor to the next; all else has to agree. A picture
that a page shows is one that its code has saved.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import difflib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGES = tuple(sorted((HERE / "tutorials").glob("*.md")))

_BLOCK = re.compile(
    r"```(?P<language>python|sh)\n(?P<code>.*?)```\n(?:\n```output\n(?P<said>.*?)```\n)?", re.DOTALL
)
_PICTURE = re.compile(r"!\[[^]]*]\((?P<name>[\w-]+\.png)\)")
_VARIES = (
    (re.compile(r"\b([0-9a-f]{64}|[0-9a-f]{16}|[0-9a-f]{8})\b"), "NAME"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d[\d:.+]*"), "DATE"),
    (re.compile(r"\b\d+ s\b"), "SECONDS"),
    (re.compile(r"[-+]?\d*\.\d+|\b\d+/\d+|\b\d+(?= of \d)"), "FIGURE"),
    (re.compile(r"[─━┃│┏┓┗┛┳┻┡┩└┘┴┬╇┼╪╀\s]+"), " "),  # tables are as wide as their figures
)


def run_page(page: Path, *, write: bool = False) -> str:
    """Execute a page in this process, which it leaves in another folder.

    Args:
        page: A tutorial.
        write: Put the output and the pictures in place.

    Returns:
        How the output differs from what the page has; nothing if it does not.
    """
    text = page.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        _prepare(Path(folder))
        os.chdir(folder)
        names: dict[str, object] = {"__name__": "__main__"}

        def executed(block: re.Match[str]) -> str:
            code = block["code"]
            said = _python(code, names) if block["language"] == "python" else _shell(code)
            output = f"\n```output\n{said}```\n" if said else ""
            return f"```{block['language']}\n{code}```\n{output}"

        new = _BLOCK.sub(executed, text)
        for picture in _PICTURE.finditer(text):
            made, shown = Path(folder, picture["name"]), page.parent / picture["name"]
            if not made.is_file():
                raise FileNotFoundError(f"{page.name} shows {made.name}, which it never saves")
            if write:
                shutil.copyfile(made, shown)
        os.chdir(HERE)
    if write:
        page.write_text(new, encoding="utf-8")
        return ""
    if _alike(text) == _alike(new):
        return ""
    lines = difflib.unified_diff(
        text.splitlines(), new.splitlines(), "on the page", "printed now", lineterm=""
    )
    return "\n".join(lines)


def _alike(text: str) -> str:
    for pattern, instead in _VARIES:
        text = pattern.sub(instead, text)
    return text


def _prepare(folder: Path) -> None:
    """A cache of its own, which shares the pocket VLM with the user's; nothing is downloaded."""
    import liveedit
    from liveedit.pocket.assembly import build_pocket

    pocket, cache = build_pocket(), folder / "cache"
    cache.mkdir()
    (cache / pocket.name).symlink_to(pocket)
    here, source = Path(sys.executable).parent, Path(liveedit.__file__).parents[1]
    os.environ |= {
        "PYTHONPATH": str(source),  # commands run what this process runs
        "LIVEEDIT_CACHE": str(cache),
        "HF_HUB_OFFLINE": "1",
        "COLUMNS": "120",
        "NO_COLOR": "1",
        "PATH": f"{here}{os.pathsep}{os.environ['PATH']}",
    }


def _python(code: str, names: dict[str, object]) -> str:
    """Run statements; the value of a last expression is shown, as at a prompt."""
    tree = ast.parse(code)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(tree, "tutorial", "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "tutorial", "eval"), names)
            if value is not None:
                print(repr(value))
    return printed.getvalue()


def _shell(code: str) -> str:
    run = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", code], capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise RuntimeError(f"{code}ended with exit status {run.returncode}:\n{run.stderr}")
    return "".join(f"{line.rstrip()}\n" for line in run.stdout.splitlines())


def main() -> None:
    """Run one page here, or each in a process of its own."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("pages", nargs="*", type=Path, default=PAGES)
    arguments.add_argument("--write", action="store_true", help="put the output in place")
    given = arguments.parse_args()
    if len(given.pages) == 1:
        differs = run_page(given.pages[0].resolve(), write=given.write)
        if differs:
            print(differs)
            sys.exit(1)
        return
    more = ["--write"] if given.write else []
    runs = [
        subprocess.run([sys.executable, __file__, str(page), *more], check=False)
        for page in given.pages
    ]
    sys.exit(max(run.returncode for run in runs))


if __name__ == "__main__":
    main()
