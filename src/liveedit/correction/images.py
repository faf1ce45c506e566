"""Pictures as people have them: opened upright in RGB, with limits checked before decoding."""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeAlias, runtime_checkable

from PIL import ExifTags, Image

from liveedit.correction.picture_file import file_of, with_file
from liveedit.errors import BadImage, MissingExtra


@runtime_checkable
class SupportsArray(Protocol):
    """An array of NumPy, a tensor, or what turns into one."""

    def __array__(self) -> Any:
        """The numbers."""


ImageSource: TypeAlias = str | os.PathLike[str] | bytes | Image.Image | SupportsArray

Pictures: TypeAlias = Image.Image | Sequence[Image.Image] | None

MAX_PIXELS = 40_000_000
MAX_JPEG_PIXELS = 200_000_000  # a JPEG is decoded at a half, a quarter or an eighth of its size
MAX_FILE_BYTES = 50_000_000
# Every scan of a progressive JPEG goes over the whole picture again, and may take but a few bytes.
# Cameras and editors write about ten.
MAX_JPEG_SCANS = 100

_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "AVIF")
_TAKEN = "PNG, JPEG, WEBP, GIF, TIFF, AVIF or HEIC"
_HEIC = re.compile(rb"....ftyp(?:hei[cxms]|hev[cxms]|mif1|msf1)", re.DOTALL)
_STILL = ("GIF", "TIFF")  # of which the first frame is meant
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


def open_image(source: ImageSource) -> Image.Image:
    """Upright RGB picture of its own, without metadata; transparent parts become white.

    It knows the file it was read from, which a store may keep.

    Args:
        source: Path or bytes of a PNG, JPEG, WEBP, GIF (its first frame), TIFF (its first page),
            AVIF or HEIC file (the last with the extra ``heic``); a picture of PIL in any mode but
            F; or an array or tensor of 8-bit numbers, (height, width), (height, width, channels) or
            (channels, height, width), with one, three or four channels. Floats are taken from 0 to
            1.

    Raises:
        BadImage: It is missing or no regular file, is an address (nothing is ever fetched), is in
            another format, damaged or animated, or exceeds `MAX_FILE_BYTES`, `MAX_PIXELS`
            (`MAX_JPEG_PIXELS`, which are reduced while they are decoded) or `MAX_JPEG_SCANS`. Size
            and number of frames are checked before pixels are decoded.
        MissingExtra: It is HEIC, and the extra is not installed.
    """
    if isinstance(source, Image.Image):
        return with_file(_plain(source, "the picture"), file_of(source))
    if isinstance(source, bytes):
        return _decoded(source, "the picture")
    if isinstance(source, SupportsArray):
        return _plain(_from_array(source), "the picture")
    if not isinstance(source, str | os.PathLike):
        raise BadImage(
            f"a picture cannot be made of {type(source).__name__}; give a path, the bytes of a "
            "file, a picture of PIL, or an array or tensor of 8-bit numbers"
        )
    path = os.fsdecode(source)
    name = repr(path if len(path) <= 200 else f"{path[:100]}…{path[-100:]}")
    if path.lstrip()[:5].casefold() == "data:":
        raise BadImage(
            f"the picture is a data URL ({len(path)} characters); decode it, and give the bytes"
        )
    if _ADDRESS.match(path):
        raise BadImage(
            f"{name} is an address, and pictures are never fetched; get it yourself and give the "
            "path or the bytes of the file"
        )
    return _decoded(_read(path, name), name)


def as_sequence(pictures: Pictures) -> Sequence[Image.Image]:
    """Pictures of one question as a sequence, which may be empty."""
    if pictures is None:
        return ()
    return (pictures,) if isinstance(pictures, Image.Image) else pictures


def pictures_identity(pictures: Pictures) -> str | None:
    """Identity of one picture, or of several in their order; None if there is none."""
    own = [image_identity(one) for one in as_sequence(pictures)]
    if len(own) < 2:
        return own[0] if own else None
    return hashlib.sha256("".join(own).encode()).hexdigest()


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
        raise BadImage(f"{name} is empty; give a {_TAKEN} file")
    if len(data) > MAX_FILE_BYTES:
        raise BadImage(
            f"{name} is larger than {MAX_FILE_BYTES // 1_000_000} MB; save it smaller or more "
            "strongly compressed"
        )
    formats: tuple[str, ...] = _FORMATS
    if _HEIC.match(data):
        _read_heic()
        formats = ("HEIF",)
    with _pillow(name):
        image = Image.open(io.BytesIO(data), formats=formats)
    if image.format in ("JPEG", "MPO"):
        if len(_JPEG_SCAN.findall(data)) > MAX_JPEG_SCANS:
            raise BadImage(f"{name} has more than {MAX_JPEG_SCANS} scans; save it anew")
        _reduce(image, name)
    return with_file(_plain(image, name), data)


def _reduce(image: Image.Image, name: str) -> None:
    """Have a large JPEG decoded at a fraction of its size, which costs no more than that."""
    if image.width * image.height > MAX_JPEG_PIXELS:
        raise _too_large(name, MAX_JPEG_PIXELS)
    for fraction in (2, 4, 8):
        if image.width * image.height <= MAX_PIXELS:
            return
        image.draft("RGB", (image.width // fraction, image.height // fraction))


def _read_heic() -> None:
    """Let Pillow read HEIC.

    Raises:
        MissingExtra: The library for it is not installed.
    """
    if "HEIF" not in Image.OPEN:
        try:
            from pillow_heif import register_heif_opener
        except ImportError:
            raise MissingExtra("pillow-heif", extra="heic") from None
        register_heif_opener(thumbnails=False)


def _from_array(source: Any) -> Image.Image:
    """An array or tensor as a picture.

    Raises:
        BadImage: Its shape or its numbers are not those of a picture.
    """
    import numpy as np

    if hasattr(source, "detach"):  # a tensor, wherever it is; NumPy knows no bfloat16
        tensor = source.detach().cpu()
        source = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    array = np.asarray(source)
    shape = array.shape
    if array.ndim == 3 and shape[0] in (1, 3, 4) and shape[2] not in (1, 3, 4):
        array = array.transpose(1, 2, 0)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    flat_or_colour = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if not flat_or_colour or not array.size:
        raise BadImage(
            f"an array of shape {shape} is no picture; give (height, width), (height, width, "
            "channels) or (channels, height, width), with 1, 3 or 4 channels"
        )
    if array.dtype.kind == "f":
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise BadImage(
                "an array of floats must be from 0 to 1; scale it, or give 8-bit numbers"
            )
        array = (array * 255).round()
    elif array.dtype.kind not in "iu" or array.min() < 0 or array.max() > 255:
        raise BadImage(f"an array of {array.dtype} is no picture; give 8-bit numbers from 0 to 255")
    return Image.fromarray(np.ascontiguousarray(array.astype(np.uint8)))


def _plain(image: Image.Image, name: str) -> Image.Image:
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(name)
    if not image.width * image.height:
        raise BadImage(f"{name} has no pixels; give another picture")
    # MPO is a JPEG with further pictures behind it, as phones write it: the first one is meant.
    if image.format not in ("MPO", *_STILL) and getattr(image, "is_animated", False):
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
                f"{name} is not a {_TAKEN} picture, or is damaged; save it anew as one"
            ) from error
        except Exception as error:  # given damaged files, its plugins raise nearly anything
            raise BadImage(
                f"{name} cannot be decoded ({error}); it may be cut off or damaged: save it anew"
            ) from error


def _too_large(name: str, limit: int | None = None) -> BadImage:
    millions = (limit or MAX_PIXELS) // 1_000_000
    return BadImage(f"{name} has more than {millions} million pixels; make it smaller")
