"""Pictures of edits that are there already, found among files by their pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from liveedit.correction.images import image_identity, open_image
from liveedit.errors import BadImage, BadImport, MissingExtra
from liveedit.store.kept_pictures import picture_bytes
from liveedit.store.log import EditLog
from liveedit.store.picture_rules import Keep
from liveedit.store.picture_set import PictureSet

_TOGETHER = 50_000_000  # bytes that are written in one transaction


def picture_files(folder: Path) -> list[Path]:
    """The files in a folder, and in those in it.

    Raises:
        BadImport: It is no folder.
    """
    if not folder.is_dir():
        raise BadImport(f"{folder} is no folder; give the one that the pictures are in")
    return sorted(path for path in folder.rglob("*") if path.is_file())


def add_pictures(
    log: EditLog, files: Sequence[Path], *, progress: Callable[[int], object] = lambda files: None
) -> int:
    """Keep those of some files that edits were made with; what is no such picture is passed over.

    Args:
        log: Of the store.
        files: Pictures, and whatever else lies beside them.
        progress: Told of the files that were looked at.

    Returns:
        How many pictures are kept that were not before.

    Raises:
        BadImport: The store keeps no pictures.
    """
    keep = log.picture_rules.keep
    if keep is Keep.off:
        raise BadImport(
            f"{log.location} keeps no pictures; have it keep them with: liveedit store pictures "
            "--keep files"
        )
    wanted = {name for image in log.without_files(log.images()) for name in log.parts(image)}
    found, added = PictureSet(), 0
    for path in files:
        try:
            picture = open_image(path)
        except (BadImage, MissingExtra):
            picture = None
        name = None if picture is None else image_identity(picture)
        if picture is not None and name in wanted:
            found.files[name] = picture_bytes(name, picture, keep)
            wanted.discard(name)
        if found.size > _TOGETHER:
            added += log.add_files(found)
            found = PictureSet()
        progress(1)
    return added + log.add_files(found)
