"""What a picture looks like without the plain borders that were put around it: bars, frames."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from PIL import Image

_SIDE = 256  # pixels of the longer side at which borders are looked for
_EVEN = 14.0  # levels by which a border's pixels may differ from its corner's, but for a few
_SHARE = 0.97  # of a line's pixels that are so even
_LEAST = 0.02  # share of a side that a border takes at least
_LAYERS = 3  # a picture with bars may be framed, and get bars again
_SMALLEST = 32  # pixels
_INSET = 0.04  # what is cut off beyond a border: edges of saved pictures are not sharp


def without_borders(picture: Image.Image) -> Iterator[Image.Image]:
    """The picture without its outermost border, without the one within that, and so on.

    A little of each side goes with it. Each border is of one colour, that of a corner; where there
    is none, nothing is given.

    Args:
        picture: RGB.
    """
    for _ in range(_LAYERS):
        small = picture.copy()
        small.thumbnail((_SIDE, _SIDE), Image.Resampling.BILINEAR)
        box = _inner(np.asarray(small, np.float32))
        if box is None:
            return
        box = box[0] + 1, box[1] + 1, box[2] - 1, box[3] - 1  # where both are mixed
        across, down = picture.width / small.width, picture.height / small.height
        left, top, right, bottom = (
            round(edge * scale)
            for edge, scale in zip(box, (across, down, across, down), strict=True)
        )
        picture = picture.crop((left, top, right, bottom))
        if min(picture.size) < _SMALLEST:
            return
        x, y = round(picture.width * _INSET), round(picture.height * _INSET)
        yield picture.crop((x, y, picture.width - x, picture.height - y))


def _inner(pixels: Float[np.ndarray, "height width 3"]) -> tuple[int, int, int, int] | None:
    """Left, top, right and bottom of what is within a border; None if there is none."""
    height, width, _ = pixels.shape
    if min(height, width) < _SMALLEST:
        return None
    best: tuple[int, int, int, int] | None = None
    for corner in (pixels[1, 1], pixels[-2, -2]):
        red, green, blue = np.moveaxis(np.abs(pixels - corner), -1, 0)
        even = np.maximum(np.maximum(red, green), blue) < _EVEN  # numpy's max over three is slow
        rows, columns = even.mean(1) > _SHARE, even.mean(0) > _SHARE
        top, bottom = _run(rows), height - _run(rows[::-1])
        left, right = _run(columns), width - _run(columns[::-1])
        if top >= bottom or left >= right:
            continue
        taken = max((top + height - bottom) / height, (left + width - right) / width)
        if taken >= 2 * _LEAST and (best is None or _area(best) > (right - left) * (bottom - top)):
            best = left, top, right, bottom
    return best


def _run(lines: np.ndarray) -> int:
    """How many lines from the edge are the border's."""
    return len(lines) if lines.all() else int(np.argmin(lines))


def _area(box: tuple[int, int, int, int]) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])
