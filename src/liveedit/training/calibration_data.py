"""What an editor is calibrated on: drawings, or corrections of one's own."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from liveedit.correction.images import image_identity, open_image
from liveedit.data.sources import check_pictures, corrections_of
from liveedit.data.stated_cases import divided, stated_cases
from liveedit.errors import CannotCalibrate
from liveedit.training.data import TrainingData, drawings

logger = logging.getLogger(__name__)

LEAST = 16  # pictures without which neither directions nor margins are worth anything
_HELD = 0.5  # share of a file's pictures that margins are chosen on


def calibration_data(
    file: Path | None = None,
    images: Path | None = None,
    *,
    corrections: int,
    validation: int,
) -> TrainingData:
    """Corrections to find directions on, and others to choose margins on.

    Args:
        file: Corrections of one's own; what they lack (other words, other views of the picture) is
            derived. Drawings by default.
        images: Folder of the pictures that the file names.
        corrections: How many to find directions on, at most.
        validation: How many to choose margins on, at most.

    Raises:
        CannotCalibrate: The pictures are too few, or the same again and again.
        BadAnnotations: A picture does not open, or a row of a benchmark cannot be used.
        BadImport: A line of the file cannot be read.
    """
    if file is None:
        return drawings(corrections, validation)
    every = corrections_of(file, images)
    check_pictures(every, file)
    pictured = [row for row in every if row.images]
    different = _different(row.images[0] for row in pictured)
    if different < LEAST:
        raise CannotCalibrate(
            f"{different} different pictures are too few to calibrate on; give corrections about "
            f"{LEAST} or more, or no file at all for the drawings that come along"
        )
    rows, back = divided(pictured, _HELD)
    found = stated_cases(rows[:corrections], "train")
    held = stated_cases(back[:validation], "train")
    for what, count in found.derived.items():
        logger.info("%s: derived for %d of %d rows: %s", file.name, count, len(rows), what)
    return TrainingData(cases=found.cases, held=held.cases)


def _different(files: Iterable[Path]) -> int:
    """How many different pictures there are, whatever their files are called; at most LEAST."""
    known: set[str] = set()
    for file in dict.fromkeys(files):
        known.add(image_identity(open_image(file)))
        if len(known) == LEAST:
            break
    return len(known)
