"""Corrections by where they come from: drawings, a folder of photographs, or a file."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from tqdm import tqdm

from liveedit.data.annotations.datasets import EMOJI_EDIT, recognise, typical
from liveedit.data.annotations.pictures import picture_problem
from liveedit.data.annotations.reading import load_rows, usable_rows
from liveedit.data.annotations.stated import stated_rows
from liveedit.data.annotations.templates import apply_template
from liveedit.data.corrections_file import CorrectionRow, read_corrections
from liveedit.data.dataset_folder import is_dataset
from liveedit.data.emoji_edit.concepts import Split
from liveedit.data.emoji_edit.corrections import evaluation_set, validation_set
from liveedit.data.emoji_edit.neighbours import neighbouring_cases
from liveedit.data.importing import refuse_bad
from liveedit.data.photo_edit.corrections import photo_set, photo_training_cases
from liveedit.data.photo_edit.folder import read_photo_folder
from liveedit.data.stated_cases import stated_cases
from liveedit.data.views import Case
from liveedit.errors import BadAnnotations

_SHOWN = 5  # bad pictures that an error names


def corrections_of(file: Path, images: Path | None) -> list[CorrectionRow]:
    """Rows of a public benchmark's file, in the paper's affixes, or of a corrections file.

    Args:
        file: JSON list of a public benchmark; or JSON lines, a JSON array, CSV or a dataset of
            corrections.
        images: Folder of pictures; that of the file by default.

    Raises:
        BadAnnotations: A row of a benchmark cannot be used.
        BadImport: A line of a corrections file cannot be read.
    """
    if file.suffix.casefold() == ".json":
        rows = load_rows(file)
        if isinstance(rows[0], dict) and ("alt" in rows[0] or typical(rows)):
            dataset = recognise(rows, file)
            usable = usable_rows(rows, dataset, file)
            affixed = [apply_template(row, dataset.template) for row in usable]
            return stated_rows(affixed, file.parent if images is None else images)
    good, bad = read_corrections(file, images)
    refuse_bad(bad)
    return good


def check_pictures(rows: Sequence[CorrectionRow], file: Path) -> None:
    """See that every picture opens, before hours are spent on the others.

    Raises:
        BadAnnotations: One does not, or only in part; it is named with its row.
    """
    named: dict[Path, int] = {}
    for row in rows:
        for path in row.pictures:
            named.setdefault(path, row.line)
    bad = []
    for path, line in tqdm(named.items(), desc="pictures", unit="picture", leave=False, delay=2):
        problem = picture_problem(path)
        if problem is not None:
            bad.append(f"row {line}: {path} {problem}")
    if bad:
        more = f", and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        raise BadAnnotations(
            f"{file}: {'; '.join(bad[:_SHOWN])}{more}; mend these pictures, or take their rows out"
        )


def unknown(source: str) -> BadAnnotations:
    """What is said where a source is not there."""
    return BadAnnotations(
        f"there is no {source}; give {EMOJI_EDIT}, a file or a dataset of corrections, or a "
        "folder of photographs by class"
    )


def cases_to_show(
    source: str, images: Path | None, split: Split, limit: int
) -> tuple[Sequence[Case], list[str]]:
    """The first corrections of a source, and what there is to say about them.

    Args:
        source: ``emoji-edit``, a folder of photographs, or a file or dataset of corrections.
        images: Folder of the pictures that a file names.
        split: Which of drawings and photographs.
        limit: How many.

    Raises:
        BadAnnotations: It is none of these, or cannot be used.
        BadImport: A line of a corrections file cannot be read.
    """
    path = Path(source)
    if source == EMOJI_EDIT:
        if split == "train":
            return list(islice(neighbouring_cases(), limit)), []
        return (evaluation_set if split == "evaluation" else validation_set)(limit), []
    if path.is_dir() and not is_dataset(path):
        folder = read_photo_folder(path)
        notes = [f"left out: {bad}" for bad in folder.bad]
        if split == "train":
            return list(islice(photo_training_cases(folder), limit)), notes
        return photo_set(folder, split, limit=limit), notes
    if not path.exists():
        raise unknown(source)
    rows = corrections_of(path, images)
    found = stated_cases(rows, "train")
    notes = [f"derived for {n} of {len(rows)}: {what}" for what, n in found.derived.items()]
    return found.cases[:limit], notes
