"""The same picture as it comes back: saved anew, scaled, cropped, framed, lit otherwise."""

from __future__ import annotations

import io
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

Resaving = Callable[[Image.Image], Image.Image]

_SEED = 31


@dataclass(frozen=True)
class Resaved:
    """A picture as it comes back.

    Args:
        picture: What it was: a scene, a photograph, a file.
        how: Names of changes, one after the other, or the seed of changes at random.
    """

    picture: Hashable
    how: tuple[str, ...] | int

    def of(self, picture: Image.Image) -> Image.Image:
        """The picture, once it is drawn or read, with these changes."""
        if isinstance(self.how, int):
            return resaved_at_random(picture, np.random.default_rng((_SEED, self.how)))
        for name in self.how:
            picture = _CHANGES[name](picture)
        return picture


def _jpeg(quality: int) -> Resaving:
    def save(picture: Image.Image) -> Image.Image:
        written = io.BytesIO()
        picture.save(written, "JPEG", quality=quality)
        return Image.open(written).convert("RGB")

    return save


def _scaled(factor: float) -> Resaving:
    return lambda picture: ImageOps.scale(picture, factor, Image.Resampling.BICUBIC)


def _cropped(share: float) -> Resaving:
    def crop(picture: Image.Image) -> Image.Image:
        x, y = round(picture.width * share), round(picture.height * share)
        return picture.crop((x, y, picture.width - x, picture.height - y))

    return crop


def _lit(factor: float) -> Resaving:
    return lambda picture: ImageEnhance.Brightness(picture).enhance(factor)


def _framed(share: float, colour: str) -> Resaving:
    return lambda picture: ImageOps.expand(picture, round(picture.width * share), colour)


def _letterboxed(shape: tuple[int, int], colour: str) -> Resaving:
    def pad(picture: Image.Image) -> Image.Image:
        width, height = shape
        longest = max(picture.width / width, picture.height / height)
        size = (round(width * longest), round(height * longest))
        return ImageOps.pad(picture, size, color=colour)

    return pad


def _screenshot(picture: Image.Image) -> Image.Image:
    """Shown at 1.5 times its size, photographed from the screen, and sent at 720 pixels."""
    shown = ImageOps.scale(picture, 1.5, Image.Resampling.BILINEAR)
    sent = ImageOps.contain(shown, (720, 720), Image.Resampling.BILINEAR)
    return _jpeg(80)(_scaled(0.6)(sent))


RESAVED: Mapping[str, Resaving] = MappingProxyType(
    {
        "JPEG 75": _jpeg(75),
        "JPEG 40": _jpeg(40),
        "JPEG 15": _jpeg(15),
        "half": _scaled(0.5),
        "double": _scaled(2.0),
        "brighter": _lit(1.25),
        "darker": _lit(0.75),
        "frame": _framed(0.02, "black"),
        "crop of 8%": _cropped(0.08),
        "letterboxed": _letterboxed((16, 9), "black"),
        "screenshot": _screenshot,
    }
)


MIRRORED = "mirrored"  # not the same any more: what was on the left is on the right
_CHANGES: Mapping[str, Resaving] = MappingProxyType({**RESAVED, MIRRORED: ImageOps.mirror})


def resaved_at_random(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """For training: one or two of these changes, their sizes at random."""
    changes: tuple[Callable[[], Resaving], ...] = (
        lambda: _jpeg(int(random.integers(10, 90))),
        lambda: _scaled(float(random.uniform(0.4, 2.0))),
        lambda: _lit(float(random.uniform(0.7, 1.3))),
        lambda: _cropped(float(random.uniform(0.0, 0.1))),
        lambda: _framed(float(random.uniform(0.01, 0.05)), _COLOURS[random.integers(4)]),
        lambda: _letterboxed(_SHAPES[random.integers(5)], _COLOURS[random.integers(4)]),
        lambda: _letterboxed(_SHAPES[random.integers(5)], _COLOURS[random.integers(4)]),  # hardest
        lambda: _screenshot,
    )
    for _ in range(int(random.integers(1, 3))):
        picture = changes[int(random.integers(len(changes)))]()(picture)
    return picture


_COLOURS = ("black", "white", "grey", "navy")
_SHAPES = ((16, 9), (9, 16), (4, 3), (3, 4), (3, 2))
