"""Files that appear whole or not at all, and what tells them apart."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A place beside a file's own: what is written there is put in its place in one step.

    Processes may do so at once. After an exception nothing is left; after a kill there may be a
    file that ends in ``.part``, which nobody reads.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        with suppress(OSError):  # it is gone if all went well
            part.unlink()


def write_whole(path: Path, text: str) -> None:
    """Write a text, UTF-8, that appears whole or not at all, see `whole`."""
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")


def file_digest(path: Path) -> str:
    """SHA-256 over a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
