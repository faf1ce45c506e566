"""Pictures for tests, as objects and as the bytes of files."""

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from liveedit.correction import open_image
from liveedit.errors import BadImage

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 128, 0), (0, 0, 255), (255, 255, 255)


def halves(size=(8, 4)) -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, *size))
    return image


def noise(size=(64, 64)) -> Image.Image:
    """A picture that no format can make small."""
    numbers = (zlib.crc32(struct.pack("<I", at)) for at in range(size[0] * size[1]))
    pixels = b"".join(struct.pack("<I", number) for number in numbers)
    return Image.frombytes("RGBA", size, pixels).convert("RGB")


def encoded(image: Image.Image, form: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def png(width: int, height: int, depth: int, colour: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG by hand: the header says whatever it is told to."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", header), *chunks, (b"IEND", b""))
    )


def saved(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def refusal(source) -> str:
    """What `open_image` says to it: one sentence, without a line break, with what to do next."""
    with pytest.raises(BadImage) as caught:
        open_image(source)
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 400
    return said
