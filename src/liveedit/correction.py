"""What a person states: on this picture, this prompt should be answered with this target."""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias

from PIL import ExifTags, Image

from liveedit.errors import BadImage, BadText, EmptyText, TextTooLong

ImageSource: TypeAlias = str | os.PathLike[str] | bytes | Image.Image

MAX_PIXELS = 40_000_000
MAX_FILE_BYTES = 50_000_000
# Every scan of a progressive JPEG goes over the whole picture again, and may take but a few bytes.
# Cameras and editors write about ten.
MAX_JPEG_SCANS = 100
MAX_CHARACTERS = {"prompt": 4000, "target": 1000}

_FORMATS = ("PNG", "JPEG", "WEBP")
_ADDRESS = re.compile(r"\s*(?:data:|[a-z][a-z0-9+.-]+:/)", re.IGNORECASE)
_JPEG_SCAN = re.compile(rb"\xff\xda\x00(?:\x06\x00|\x08\x01|\x0a\x02|\x0c\x03|\x0e\x04)")
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_one_at_a_time = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Correction:
    """Asked `prompt` about `image`, the model should say `target`.

    Args:
        image: RGB picture, upright; None for a text-only correction.
        prompt: The question, without the chat template.
        target: The right answer.
    """

    image: Image.Image | None
    prompt: str
    target: str

    @classmethod
    def checked(cls, image: ImageSource | None, prompt: str, target: str) -> Correction:
        """Correction from what somebody handed in; the short texts are looked at first.

        Raises:
            EmptyText, TextTooLong, BadText: See `checked_text`.
            BadImage: See `open_image`.
        """
        prompt, target = checked_text(prompt, "prompt"), checked_text(target, "target")
        picture = None if image is None else open_image(image)
        return cls(image=picture, prompt=prompt, target=target)


def checked_text(text: str, what: Literal["prompt", "target"]) -> str:
    """The text without white space around it.

    Raises:
        EmptyText: Nothing is left.
        TextTooLong: More than `MAX_CHARACTERS` are left.
        BadText: It holds a NUL character or cannot be encoded as UTF-8.
    """
    text = text.strip()
    if not text:
        raise EmptyText(what)
    if len(text) > MAX_CHARACTERS[what]:
        raise TextTooLong(what, characters=len(text), limit=MAX_CHARACTERS[what])
    if "\0" in text:
        raise BadText(what, "holds a NUL character; remove it")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadText(what, "holds half a surrogate pair; decode it as UTF-8") from error
    return text


def open_image(source: ImageSource) -> Image.Image:
    """Upright RGB picture of its own, without metadata; transparent parts become white.

    Args:
        source: Path or bytes of a PNG, JPEG or WEBP file, or a picture in any mode but F.

    Raises:
        BadImage: It is missing or no regular file, is an address (nothing is ever fetched), is in
            another format, damaged or animated, or exceeds `MAX_FILE_BYTES`, `MAX_PIXELS` or
            `MAX_JPEG_SCANS`. Size and number of frames are checked before pixels are decoded.
    """
    if isinstance(source, Image.Image):
        return _plain(source, "the picture")
    if isinstance(source, bytes):
        return _decoded(source, "the picture")
    path = os.fsdecode(source)
    name = repr(path if len(path) <= 200 else f"{path[:100]}…{path[-100:]}")
    if _ADDRESS.match(path):
        raise BadImage(
            f"{name} is an address, and pictures are never fetched; get it yourself and give the "
            "path or the bytes of the file"
        )
    return _decoded(_read(path, name), name)


def image_identity(image: Image.Image) -> str:
    """SHA-256 in hexadecimal over mode, size and pixels; metadata does not matter."""
    if image.mode in ("P", "PA"):  # whose pixels mean nothing without the palette
        image = image.convert("RGBA")
    return hashlib.sha256(f"{image.mode}{image.size}".encode() + image.tobytes()).hexdigest()


def _read(path: str, name: str) -> bytes:
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise BadImage(f"{name} is a folder; give the path of one picture in it")
        if not stat.S_ISREG(mode):  # a pipe or a device might block, or never end
            raise BadImage(f"{name} is not a regular file; copy the picture into one")
        with open(path, "rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise BadImage(f"{name} does not exist; check the path") from error
    except (OSError, ValueError) as error:  # ValueError: NUL in the path
        why = getattr(error, "strerror", None) or error
        raise BadImage(
            f"{name} cannot be read ({why}); check the path and its permissions"
        ) from error


def _decoded(data: bytes, name: str) -> Image.Image:
    if not data:
        raise BadImage(f"{name} is empty; give a PNG, JPEG or WEBP file")
    if len(data) > MAX_FILE_BYTES:
        raise BadImage(
            f"{name} is larger than {MAX_FILE_BYTES // 1_000_000} MB; save it smaller or more "
            "strongly compressed"
        )
    with _pillow(name):
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
    if image.format in ("JPEG", "MPO") and len(_JPEG_SCAN.findall(data)) > MAX_JPEG_SCANS:
        raise BadImage(f"{name} has more than {MAX_JPEG_SCANS} scans; save it anew")
    return _plain(image, name)


def _plain(image: Image.Image, name: str) -> Image.Image:
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(name)
    if not image.width * image.height:
        raise BadImage(f"{name} has no pixels; give another picture")
    # MPO is a JPEG with further pictures behind it, as phones write it: the first one is meant.
    if image.format != "MPO" and getattr(image, "is_animated", False):
        raise BadImage(f"{name} has several frames; save the one that is meant as a picture")
    if image.mode == "F":
        raise BadImage(f"{name} has floating-point pixels; scale them to 0..255 as 8-bit RGB")
    with _pillow(name):
        picture = _rgb(image)
    turn = _UPRIGHT.get(_orientation(image, name))
    if turn is not None:
        picture = picture.transpose(turn)
    picture.info = {}  # or its orientation would be applied anew when it is opened again
    return picture


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits: scaled, because converting would clip
        levels = [(value + 128) // 257 for value in range(65536)]
        transparent = image.info.get("transparency")
        if isinstance(transparent, int) and 0 <= transparent < 65536:
            levels[transparent] = 255
        return image.convert("I").point(levels, "L").convert("RGB")
    if image.has_transparency_data:
        overlay = image.convert("RGBA")
        picture = Image.new("RGB", image.size, "white")
        picture.paste(overlay, mask=overlay)
        return picture
    return image.convert("RGB")


def _orientation(image: Image.Image, name: str) -> int:
    try:
        with _pillow(name):
            return image.getexif().get(ExifTags.Base.Orientation, 1)
    except BadImage:  # broken EXIF does not make the picture unusable
        return 1


@contextmanager
def _pillow(name: str) -> Iterator[None]:
    """Turn whatever Pillow raises into BadImage, and keep its warnings to itself.

    One thread at a time, because warning filters belong to the process; it bounds memory, too.
    """
    with _one_at_a_time, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\b")
        try:
            yield
        except Image.DecompressionBombError as error:
            raise _too_large(name) from error
        except Image.UnidentifiedImageError as error:
            raise BadImage(
                f"{name} is not a PNG, JPEG or WEBP picture, or is damaged; save it anew as one"
            ) from error
        except Exception as error:  # given damaged files, its plugins raise nearly anything
            raise BadImage(
                f"{name} cannot be decoded ({error}); it may be cut off or damaged: save it anew"
            ) from error


def _too_large(name: str) -> BadImage:
    return BadImage(
        f"{name} has more than {MAX_PIXELS // 1_000_000} million pixels; make it smaller"
    )
