"""Photographs by class: a folder for each class (ImageFolder), or one folder with a list."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from liveedit.data.annotations.pictures import picture_problem
from liveedit.errors import BadAnnotations
from liveedit.saving.files import file_digest

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp"))
_NAMES = ("file_name", "file")  # of the field of a list that names the picture


@dataclass(frozen=True, kw_only=True)
class BadPhotograph:
    """A file that cannot be used.

    Args:
        path: Below the folder.
        problem: What is wrong, a clause.
    """

    path: str
    problem: str

    def __str__(self) -> str:
        return f"{self.path} {self.problem}"


@dataclass(frozen=True, kw_only=True)
class PhotoFolder:
    """Photographs by class.

    Args:
        root: The folder.
        classes: Photographs of each class, sorted.
        bad: What was left out.
    """

    root: Path
    classes: Mapping[str, tuple[Path, ...]]
    bad: tuple[BadPhotograph, ...] = ()

    @property
    def single(self) -> tuple[str, ...]:
        """Classes with one photograph: another one of the same can only be that, saved anew."""
        return tuple(name for name, files in self.classes.items() if len(files) == 1)


def read_photo_folder(root: Path, *, at_least: int = 1, single: bool = False) -> PhotoFolder:
    """All photographs of a folder that can be read, each once.

    A class is a folder of pictures, its name the folder's with spaces for underscores. A folder
    without folders needs a list, one ``*.jsonl`` with ``file_name`` (or ``file``) and ``label``.

    Args:
        root: The folder.
        at_least: Classes with fewer photographs are left out.
        single: Take the first photograph of each class alone.

    Raises:
        BadAnnotations: It is neither, or holds no picture that can be read.
    """
    if not root.is_dir():
        raise BadAnnotations(f"{root} is no folder; give a folder of photographs by class")
    listed = sorted(root.glob("*.jsonl"))
    if len(listed) > 1:
        raise BadAnnotations(f"{root} holds several lists ({listed[0].name}, ...); keep one")
    named = list(_of_list(listed[0]) if listed else _of_folders(root))
    classes: dict[str, set[Path]] = defaultdict(set)
    bad = []
    first_with: dict[str, tuple[Path, str]] = {}
    for name, file in tqdm(named, desc="photographs", unit="file", leave=False):
        problem = picture_problem(file)
        if problem is None:
            first, of = first_with.setdefault(file_digest(file), (file, name))
            if (first, of) != (file, name):
                problem = f"is the same picture as {first.relative_to(root)} of class {of!r}"
        if problem is None:
            classes[name].add(file)
        else:
            bad.append(BadPhotograph(path=str(file.relative_to(root)), problem=problem))
    if not classes:
        told = f": {bad[0]}, and so on" if bad else ""
        raise BadAnnotations(
            f"{root} holds no photographs by class{told}; it should hold a folder for each class "
            "with pictures in it, or pictures and a list (JSONL: file_name, label)"
        )
    files = {
        name: tuple(sorted(classes[name]))[: 1 if single else None]
        for name in sorted(classes)
        if len(classes[name]) >= at_least
    }
    if not files:
        raise BadAnnotations(f"no class in {root} has {at_least} photographs; ask for fewer")
    return PhotoFolder(root=root, classes=files, bad=tuple(bad))


def _of_folders(root: Path) -> Iterator[tuple[str, Path]]:
    for folder in sorted(root.iterdir()):
        if folder.is_dir() and not folder.name.startswith("."):
            for file in sorted(folder.rglob("*")):
                if file.suffix.casefold() in SUFFIXES:
                    yield _spoken(folder.name), file


def _of_list(file: Path) -> Iterator[tuple[str, Path]]:
    root = file.parent.resolve()
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise BadAnnotations(f"{file} cannot be read ({error})") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
            picture = next(fields[name] for name in _NAMES if name in fields)
            label = fields["label"]
        except (ValueError, KeyError, TypeError, StopIteration):
            picture = label = None
        if not isinstance(picture, str) or not isinstance(label, str) or not _spoken(label):
            raise BadAnnotations(f"{file}, line {number}: should have file_name and label, as text")
        if not (root / picture).resolve().is_relative_to(root):
            raise BadAnnotations(f"{file}, line {number}: {picture} leads out of the folder")
        yield _spoken(label), file.parent / picture


def _spoken(name: str) -> str:
    """A class as people say it."""
    return " ".join(name.replace("_", " ").split()).casefold()
