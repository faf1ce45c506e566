"""Check a wheel that is installed without its checkout: its files, its names, the demonstration.

``make test-wheel`` builds and installs it, and runs this with the Python of that environment.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from importlib.metadata import entry_points, version
from pathlib import Path
from zipfile import ZipFile

from PIL import Image

import liveedit
from liveedit.demo.rows import DemoRow

_SOURCE = Path(__file__).resolve().parent.parent / "src"
_CHECKS = 25  # of the demonstration: five a correction


def main(wheel: Path) -> None:
    """Check everything, and stop with a message at the first thing that is wrong."""
    installed = Path(liveedit.__file__).resolve()
    if not installed.is_relative_to(Path(sys.prefix).resolve()):
        sys.exit(f"liveedit is imported from {installed}, not from the environment {sys.prefix}.")
    print(f"{wheel.name}: {_check_files(wheel)} files, none missing.")
    _check_entry_points()
    with tempfile.TemporaryDirectory() as folder:
        methods = {one["method"]: one["problem"] for one in _run("methods", folder)}
        if not {"liveedit", "retrieval"} <= methods.keys() or any(methods.values()):
            sys.exit(f"`liveedit methods` lists {methods}.")
        print(f"liveedit methods: {', '.join(methods)}.")
        _check_demonstration(_run("demo", folder))


def _check_files(wheel: Path) -> int:
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
        missing = [
            name
            for path in sorted((_SOURCE / "liveedit").rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
            if (name := path.relative_to(_SOURCE).as_posix()) not in names
            or archive.read(name) != path.read_bytes()
        ]
    if missing:
        sys.exit(f"The wheel lacks these files, or has them changed: {', '.join(missing)}.")
    info = f"liveedit_vlm-{version('liveedit-vlm')}.dist-info"
    licences = {f"{info}/licenses/{name}" for name in ("LICENSE", "NOTICE")}
    if not licences <= names:
        sys.exit(f"The wheel lacks {', '.join(sorted(licences - names))}.")
    return len(names)


def _check_entry_points() -> None:
    found = [plugin for plugin in entry_points(group="liveedit.models") if plugin.name == "pocket"]
    if len(found) != 1:
        sys.exit(f"`pocket` is registered {len(found)} times under liveedit.models.")
    found[0].load()
    print(f"liveedit.models: pocket = {found[0].value}.")


def _run(command: str, folder: str) -> list[dict[str, str]]:
    """What a command prints as JSON, run in an empty folder, with a cache of its own, offline."""
    ours = {"LIVEEDIT_CACHE": f"{folder}/cache", "HF_HUB_OFFLINE": "1"}
    rest = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    program = Path(sysconfig.get_path("scripts")) / "liveedit"
    run = subprocess.run(
        [program, command, "--json"], cwd=folder, env=rest | ours, stdout=subprocess.PIPE, text=True
    )
    if run.returncode:
        sys.exit(f"`liveedit {command}` stopped with exit status {run.returncode}.")
    return json.loads(run.stdout)


def _check_demonstration(rows: list[dict[str, str]]) -> None:
    none = Image.new("RGB", (1, 1))  # pictures are not in the JSON, and no check looks at them
    shown = [DemoRow(image=none, redrawn=none, neighbour=none, **row) for row in rows]
    failures = [f"{row.prompt} {failure}" for row in shown for failure in row.failures()]
    if failures or 5 * len(shown) != _CHECKS:
        sys.exit("\n".join([f"{len(failures)} of {5 * len(shown)} checks failed:", *failures]))
    print(f"liveedit demo: all {_CHECKS} checks succeeded.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
