"""What an editor is trained on: drawings, photographs, corrections of a file, or all of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from liveedit.backbones.base import Backbone
from liveedit.data.annotations.datasets import EMOJI_EDIT
from liveedit.data.corrections_file import CorrectionRow
from liveedit.data.dataset_folder import is_dataset
from liveedit.data.emoji_edit.concepts import Split
from liveedit.data.emoji_edit.corrections import EditCase, validation_set
from liveedit.data.emoji_edit.knowledge import TextCase, text_validation_set
from liveedit.data.emoji_edit.made_up import made_up_cases
from liveedit.data.emoji_edit.neighbours import neighbouring_cases, neighbouring_texts
from liveedit.data.photo_edit.corrections import PhotoCase, photo_set, photo_training_cases
from liveedit.data.photo_edit.folder import read_photo_folder
from liveedit.data.photo_edit.look_alikes import nearest_classes
from liveedit.data.sources import check_pictures, corrections_of, unknown
from liveedit.data.stand_ins import read_stand_ins, stand_in
from liveedit.data.stated_cases import divided, stated_cases
from liveedit.errors import BadAnnotations

logger = logging.getLogger(__name__)

Pictured = EditCase | PhotoCase
_SHOWN = 10  # rows that a warning names


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """Corrections to learn from, and others to choose settings on.

    Args:
        cases: Corrections with a picture.
        held: Validation corrections with a picture; they share no picture with ``cases``.
    """

    cases: Sequence[Pictured]
    held: Sequence[Pictured]


def drawings(corrections: int, validation: int) -> TrainingData:
    """emoji-edit's training corrections, neighbours after each other."""
    some = list(islice(neighbouring_cases(), corrections))
    return TrainingData(cases=some, held=validation_set(validation))


def text_data(corrections: int, validation: int) -> tuple[list[TextCase], list[TextCase]]:
    """Text-only training corrections, and at most so many validation ones."""
    held = text_validation_set() + made_up_cases("validation")
    return list(islice(neighbouring_texts(), corrections)), held[:validation]


def photographs(backbone: Backbone, root: Path, corrections: int, validation: int) -> TrainingData:
    """Corrections about photographs of a folder, look-alikes by the unedited model's features.

    Raises:
        BadAnnotations: It is no folder of photographs by class, or has too few classes.
    """
    folder = read_photo_folder(root)
    for bad in folder.bad:
        logger.warning("left out: %s", bad)
    near = nearest_classes(backbone, folder)
    some = list(islice(photo_training_cases(folder, near=near), corrections))
    held = photo_set(folder, "validation", near=near, limit=validation)
    return TrainingData(cases=some, held=held)


def stated(
    file: Path,
    images: Path | None,
    validation: int,
    stand_ins: Path | None = None,
    ids: dict[str, str] | None = None,
) -> TrainingData:
    """Corrections of a file, some of their pictures held back.

    Args:
        file: The corrections.
        images: Folder of their pictures.
        validation: At most so many are held back.
        stand_ins: Folder of photographs in the place of pictures that are not there.
        ids: Where rows of other files with an id are; those of this one are added.

    Raises:
        BadAnnotations: Two rows share an id, they are too few, leave nothing to ask, or a picture
            does not open.
        BadImport: A line cannot be read.
    """
    every = corrections_of(file, images)
    _no_id_twice(every, file, {} if ids is None else ids)
    named = any(row.concept for row in every)
    rows, back = divided(every)
    back = back[:validation]
    if stand_ins is not None:
        rows = _stood_in(rows, stand_ins, "train")
        back = _stood_in(back, stand_ins, "validation")
    check_pictures([*rows, *back], file)
    if not rows or not back:
        raise BadAnnotations(
            f"{file} has corrections about too few pictures to learn from some and choose settings "
            "on others; twenty pictures are the least that makes sense"
        )
    learned = stated_cases(rows, "train", named=named)
    held = stated_cases(back, "validation", named=named)
    for what, count in learned.derived.items():
        logger.info("%s: derived for %d of %d rows: %s", file.name, count, len(rows), what)
    left_out = [row.line for row in every if not row.images]
    if left_out:
        shown = ", ".join(map(str, left_out[:_SHOWN])) + (", ..." if left_out[_SHOWN:] else "")
        logger.warning(
            "%s: %d rows without a picture are left out (%s)", file.name, len(left_out), shown
        )
    return TrainingData(cases=learned.cases, held=held.cases)


def _no_id_twice(rows: Sequence[CorrectionRow], file: Path, ids: dict[str, str]) -> None:
    """Within one file it is seen when that is read; here two files are compared."""
    for row in rows:
        here = f"row {row.line} of {file}"
        if row.id and ids.setdefault(row.id, here) != here:
            raise BadAnnotations(
                f"{here} has the id {row.id!r} of {ids[row.id]}; take one of the two out, or give "
                "it another id"
            )


def _stood_in(rows: Sequence[CorrectionRow], folder: Path, split: Split) -> list[CorrectionRow]:
    """Rows with photographs of a split in the place of pictures that are not there."""
    found, told = stand_in(rows, read_stand_ins(folder, split))
    logger.warning("%s", told)
    return found


def training_data(
    backbone: Backbone,
    sources: Sequence[str],
    images: Path | None,
    *,
    corrections: int,
    validation: int,
    stand_ins: Path | None = None,
) -> TrainingData:
    """One after the other: ``emoji-edit``, folders of photographs, files and datasets.

    Args:
        backbone: The unedited model.
        sources: What to learn from.
        images: Folder of the pictures that files name.
        corrections: How many to draw of drawings, and of each folder; of files all are taken.
        validation: At most so many are held back of each.
        stand_ins: Folder of photographs in the place of pictures that are not there.

    Raises:
        BadAnnotations: One of them cannot be used.
        BadImport: A line of a corrections file cannot be read.
    """
    places = [source if source == EMOJI_EDIT else str(Path(source).resolve()) for source in sources]
    twice = [source for source, place in zip(sources, places, strict=True)
             if places.count(place) > 1]  # fmt: skip
    if twice:
        raise BadAnnotations(f"{twice[0]} is given twice with --data; give each once")
    parts = []
    ids: dict[str, str] = {}
    for source in sources:
        path = Path(source)
        if source == EMOJI_EDIT:
            parts.append(drawings(corrections, validation))
        elif path.is_dir() and not is_dataset(path):
            parts.append(photographs(backbone, path, corrections, validation))
        elif path.exists():
            parts.append(stated(path, images, validation, stand_ins, ids))
        else:
            raise unknown(source)
    return TrainingData(
        cases=_joined(parts, lambda one: one.cases), held=_joined(parts, lambda one: one.held)
    )


def _joined(
    parts: Sequence[TrainingData], of: Callable[[TrainingData], Sequence[Pictured]]
) -> list[Pictured]:
    return [case for part in parts for case in of(part)]
