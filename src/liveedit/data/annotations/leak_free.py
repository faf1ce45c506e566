"""An evaluation split without the rows that leak, in the format it came in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from liveedit.data.annotations.audit import Audit
from liveedit.errors import BadAnnotations
from liveedit.saving.files import write_whole


def write_leak_free(original: Sequence[object], found: Audit, file: Path) -> int:
    """Write the rows that share nothing with training, as they were; the file appears whole.

    Args:
        original: The evaluation rows as their file has them.
        found: The audit of these rows.
        file: Where to write; replaced if it is there.

    Returns:
        How many rows were written.

    Raises:
        BadAnnotations: No row is left, or the file cannot be written; nothing is left behind.
    """
    kept = [row for row, leaks in zip(original, found.leaks, strict=True) if not leaks]
    if not kept:
        raise BadAnnotations(
            f"each of the {len(original)} evaluation rows shares something with training, so "
            f"{file} would be empty and was not written; evaluate on another dataset"
        )
    try:
        write_whole(file, json.dumps(kept, indent=2) + "\n")
    except OSError as error:
        raise BadAnnotations(
            f"{file} cannot be written ({error.strerror}); choose another place"
        ) from error
    return len(kept)
