"""Pictures as files again: the file that one was read from, or one without any loss.

A file goes with the picture object that was made of it, and with no copy, crop or resized one.
"""

from __future__ import annotations

import io

from PIL import Image

_FILE = "_liveedit_file"
_WEBP_SIDE = 16383  # pixels; more cannot be written


def with_file(picture: Image.Image, data: bytes | None) -> Image.Image:
    """The picture, which from now on knows the file it was read from."""
    if data is not None:
        setattr(picture, _FILE, data)
    return picture


def file_of(picture: Image.Image) -> bytes | None:
    """The file that a picture was read from; None if it was read from none."""
    data: bytes | None = getattr(picture, _FILE, None)
    return data


def lossless_file(picture: Image.Image) -> bytes:
    """An RGB picture as a file that has all of its pixels, and nothing else."""
    written = io.BytesIO()
    if max(picture.size) <= _WEBP_SIDE:
        picture.save(written, "WEBP", lossless=True, method=0, quality=50)
    else:
        picture.save(written, "PNG")
    return written.getvalue()
