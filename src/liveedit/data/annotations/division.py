"""A published file divided into training, validation and evaluation, where no other is at hand.

A row's part is decided by a digest of its picture (in VLKEB of the entity it shows), so that no
corrected picture, and no question about one, is in two parts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

from liveedit.data.annotations.audit import Audit, audit
from liveedit.data.annotations.record import Annotation
from liveedit.data.emoji_edit.concepts import Split
from liveedit.errors import BadAnnotations
from liveedit.saving.files import write_whole

PARTS: Mapping[Split, float] = {"train": 0.65, "validation": 0.1, "evaluation": 0.25}


def part_of(row: Annotation) -> Split:
    """The part that a row belongs to."""
    name = " ".join(sorted(row.concepts)) or str(row.image)
    digest = hashlib.blake2b(f"part {name}".encode(), digest_size=8).digest()
    place, end = int.from_bytes(digest, "big") / 2**64, 0.0
    for part, share in PARTS.items():
        end += share
        if place < end:
            return part
    return "evaluation"


def divide(
    original: Sequence[object], rows: Sequence[Annotation], folder: Path
) -> dict[Split, list[Annotation]]:
    """Write ``train.json``, ``validation.json`` and ``evaluation.json``, each whole or not at all.

    Args:
        original: The rows as their file has them, which they keep.
        rows: The same, read.
        folder: Where they go.

    Returns:
        The rows of each part.

    Raises:
        BadAnnotations: A part would be empty, or a file cannot be written.
    """
    parts: dict[Split, list[int]] = {part: [] for part in PARTS}
    for at, row in enumerate(rows):
        parts[part_of(row)].append(at)
    empty = [part for part, some in parts.items() if not some]
    if empty:
        raise BadAnnotations(
            f"{len(rows)} rows are too few to divide: nothing is left for {', '.join(empty)}; "
            "take a file with more"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for part, some in parts.items():
            text = json.dumps([original[at] for at in some], indent=1, ensure_ascii=False)
            write_whole(folder / f"{part}.json", text + "\n")
    except OSError as error:
        raise BadAnnotations(
            f"{folder} cannot be written ({error.strerror}); choose another place"
        ) from error
    return {part: [rows[at] for at in some] for part, some in parts.items()}


def audits(parts: Mapping[Split, Sequence[Annotation]]) -> dict[tuple[Split, Split], Audit]:
    """What each two of the parts share."""
    return {
        (one, other): audit(parts[one], parts[other]) for one, other in combinations(parts, 2)
    }  # fmt: skip
