"""Pictures in the folder of an export: thumbnails, and files by the identity of a picture."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from PIL import Image

from liveedit.errors import BadImport
from liveedit.store.checksums import checksum
from liveedit.store.log_reader import LogReader
from liveedit.store.picture_set import PictureSet

THUMBNAILS, FILES, PARTS = "pictures", "files", "parts.json"
_TOGETHER = 50_000_000  # bytes that are read before they are written
_NAME = re.compile(rf"{FILES}/(?P<picture>[0-9a-f]+)\.[a-z]+")


def write_pictures(
    log: LogReader, folder: Path, images: Collection[str], *, files: bool
) -> dict[str, str]:
    """Write the pictures of some edits beside those that are there.

    Args:
        log: Of the store.
        folder: Of the export.
        images: Identities of pictures, or of several together.
        files: The pictures themselves, too.

    Returns:
        Checksums by the name of the file, of the pictures themselves.
    """
    (folder / THUMBNAILS).mkdir(exist_ok=True)
    sums: dict[str, str] = {}
    for image in sorted(images):
        thumbnail = log.thumbnail(image)
        if thumbnail is not None:
            (folder / THUMBNAILS / f"{image}.webp").write_bytes(thumbnail)
        names, kept = log.parts(image), log.files(image) if files else ()
        for name, data in zip(names, kept, strict=bool(kept)):
            (folder / FILES).mkdir(exist_ok=True)
            path = folder / FILES / f"{name}.{_ending(data)}"
            path.write_bytes(data)
            sums[f"{FILES}/{path.name}"] = checksum(data)
        if len(names) > 1:
            sums |= _add_parts(folder, image, names)
    return sums


def read_thumbnails(
    folder: Path, images: Collection[str | None], sums: Mapping[str, str]
) -> PictureSet:
    """Thumbnails of the pictures of some edits of an export, and what several consist of.

    Raises:
        BadImport: It is not as it was written.
    """
    found = PictureSet()
    told = _parts(folder, sums) if PARTS in sums else {}
    for image in sorted(one for one in images if one is not None):
        path = folder / THUMBNAILS / f"{image}.webp"
        if path.is_file():
            found.thumbnails[image] = path.read_bytes()
        if image in told:
            found.parts[image] = told[image]
    return found


def read_files(
    folder: Path,
    images: Collection[str | None],
    parts: Mapping[str, Sequence[str]],
    sums: Mapping[str, str],
) -> Iterator[PictureSet]:
    """The pictures themselves, as far as an export has them, so many bytes at a time.

    Args:
        folder: Of the export.
        images: Identities of the pictures of edits.
        parts: Identities of single pictures, by that of several together.
        sums: Checksums by the name of the file.

    Raises:
        BadImport: One is not as it was written.
    """
    where = {one["picture"]: one[0] for one in map(_NAME.fullmatch, sums) if one}
    found = PictureSet()
    for image in sorted(one for one in images if one is not None):
        for name in parts.get(image, (image,)):
            if name in where and name not in found.files:
                found.files[name] = _read(folder / where[name], sums[where[name]])
            if found.size > _TOGETHER:
                yield found
                found = PictureSet()
    if found.files:
        yield found


def _add_parts(folder: Path, image: str, names: tuple[str, ...]) -> dict[str, str]:
    path = folder / PARTS
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    data = json.dumps({**known, image: names}, indent=1).encode()
    path.write_bytes(data)
    return {PARTS: checksum(data)}


def _parts(folder: Path, sums: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    try:
        told = json.loads(_read(folder / PARTS, sums[PARTS]))
        return {str(image): tuple(map(str, names)) for image, names in told.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise BadImport(f"{folder / PARTS} cannot be read ({error}); export anew") from error


def _read(path: Path, wanted: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadImport(f"{path} cannot be read ({error}); copy the folder again") from error
    if checksum(data) != wanted:
        raise BadImport(f"{path} is not as it was written; copy the folder again")
    return data


def _ending(data: bytes) -> str:
    """How the name of a picture's file ends, by what it holds."""
    if data[4:8] == b"ftyp":
        return "avif" if data[8:12] in (b"avif", b"avis") else "heic"
    with Image.open(io.BytesIO(data)) as picture:
        kind = str(picture.format).lower()
    return {"jpeg": "jpg", "mpo": "jpg"}.get(kind, kind)
