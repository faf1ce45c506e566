"""The pictures that rows name."""

from __future__ import annotations

import warnings
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from liveedit.correction.images import MAX_PIXELS, open_image
from liveedit.data.annotations.record import Picture
from liveedit.data.emoji_edit.scene import Scene, render

MISSING = "is missing"
_FORMATS = ("PNG", "JPEG", "WEBP")  # those that a correction may be made with


def open_picture(picture: Picture, images: Path) -> Image.Image:
    """RGB picture, drawn or read.

    Args:
        picture: As a row names it.
        images: Folder of pictures; not looked at for a scene.

    Raises:
        BadImage: The file is missing or no picture.
    """
    if isinstance(picture, Scene):
        return render(picture)
    return open_image(images / picture)


def picture_problem(path: Path) -> str | None:
    """Why a file is no usable picture, a clause; None if it is one.

    Checksums are verified, and a JPEG, which has none, is decoded at an eighth of its size, so that
    one that is cut off is found.
    """
    try:
        if not path.exists():
            return MISSING
        if not path.is_file():  # opening a pipe might never end
            return "is no file"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, about files that it can read
            with Image.open(path, formats=_FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    return f"has more than {MAX_PIXELS // 1_000_000} million pixels"
                if image.format == "JPEG":
                    image.draft("RGB", (image.width // 8 or 1, image.height // 8 or 1))
                    image.load()
                else:
                    image.verify()
    except UnidentifiedImageError:
        return "is no PNG, JPEG or WEBP picture"
    except Exception as error:  # given damaged files, Pillow's plugins raise nearly anything
        return f"cannot be opened ({getattr(error, 'strerror', None) or error})"
    return None
