"""Whether two pictures are one and the same, saved anew, scaled, cropped, framed or lit otherwise.

Pixels are compared, not what is seen: two photographs of one thing, one drawing on two grounds, or
two invoices on one form are different pictures, however alike a model finds them. In doubt pictures
are different: what is taken for the same by mistake puts somebody's correction out of force.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float
from PIL import Image

from liveedit.correction.borders import without_borders

_GLANCE = 16  # pixels a side at which most pictures are seen to be different
_COARSE, _FINE = 32, 64  # at which they are laid over each other, and compared
_BLOCK = 4  # of these, in which the lightness may differ by no more than
_LOSS, _LOSS_CROPPED = 9.0, 27.0  # levels of 255 (root mean square); cut edges do not quite meet
_ROUGH = 15.0  # levels that pictures may differ by as wholes
_CUTS = np.arange(0.01, 0.111, 0.01)  # off each side, of either picture
_AROUND = np.arange(-0.008, 0.0081, 0.002)
_BETTER = 0.6  # a cut must explain so much more than none
_ASPECT = 0.03  # shapes that differ by less are the same, but for rounding
_BORDERED_ASPECT = 0.08  # the same, of what is left within a border
_GAINS = np.arange(1.0, 1.42, 0.03, dtype=np.float32)
_FAR = 30.0  # levels at a glance, in one of a few lights, with which nothing else can help
_FEW_GAINS = _GAINS[::4]

_Pixels = Float[np.ndarray, "height width 3"]
_Gains = Float[np.ndarray, " gains"]


@dataclass(frozen=True)
class _Overlay:
    """One picture over another, parts of either cut off: shares of width and height, each side."""

    one: tuple[float, float] = (0.0, 0.0)
    other: tuple[float, float] = (0.0, 0.0)

    def around(self) -> Iterator[_Overlay]:
        """Cuts that are a little larger and smaller."""
        for more in _AROUND:
            yield _Overlay(*(_wider(cut, more) for cut in (self.one, self.other)))


def _wider(cut: tuple[float, float], more: float) -> tuple[float, float]:
    """A cut on the sides that are cut, by so much more."""
    x, y = (max(share + more, 0.0) if share else 0.0 for share in cut)
    return x, y


@dataclass(frozen=True)
class _Part:
    """A picture, or what is left of it without borders; RGB."""

    picture: Image.Image

    @cached_property
    def glances(self) -> Float[np.ndarray, "cuts height width 3"]:
        """Itself, and with each of the cuts, at a glance."""
        cuts = [(share, share) for share in (0.0, *_CUTS)]
        return np.stack([self.glance(cut) for cut in cuts])

    def glance(self, cut: tuple[float, float]) -> _Pixels:
        """With such a cut."""
        return _reduced(self._small, cut, _GLANCE)

    @cached_property
    def _small(self) -> Image.Image:
        times = min(self.picture.size) // (4 * _GLANCE)
        return self.picture if times < 2 else self.picture.reduce(times)


class Comparable:
    """A picture that is compared with several: what is seen in it alone is looked for once.

    Args:
        picture: The picture, or its thumbnail.
    """

    def __init__(self, picture: Image.Image) -> None:
        self.picture = picture
        self.whole = _Part(picture.convert("RGB"))

    @cached_property
    def without_borders(self) -> list[_Part]:
        """What is left of it, border by border."""
        return [_Part(inner) for inner in without_borders(self.whole.picture)]


def same_picture(one: Image.Image, other: Image.Image) -> bool:
    """Whether one picture is the other, changed by no more than what happens on the way.

    Args:
        one: A picture.
        other: Another, or its thumbnail.
    """
    return same_compared(Comparable(one), Comparable(other))


def same_compared(one: Comparable, other: Comparable) -> bool:
    """The same, of pictures that are compared with others, too."""
    return _laid_over(one.whole, other.whole) or any(
        _laid_over(first, second) for first, second in _without_borders(one, other)
    )


def _without_borders(one: Comparable, other: Comparable) -> Iterator[tuple[_Part, _Part]]:
    """One of the two without borders that may have been put around the other.

    Never both: of one thing at two places on a plain ground the same would be left.
    """
    for some, whole, swapped in ((one, other.whole, False), (other, one.whole, True)):
        for inner in some.without_borders:
            if abs(_shape(inner.picture) / _shape(whole.picture) - 1) < _BORDERED_ASPECT:
                yield (whole, inner) if swapped else (inner, whole)


def _shape(picture: Image.Image) -> float:
    return picture.width / picture.height


def _laid_over(first: _Part, second: _Part) -> bool:
    """Whether one is the other, with the same part cut off each side."""
    if _far(first, second):
        return False
    one, other = first.picture, second.picture

    def apart(overlay: _Overlay, side: int = _COARSE, margin: int = 0) -> float:
        inner = slice(margin, side - margin)
        both = _reduced(one, overlay.one, side), _reduced(other, overlay.other, side)
        return float(_apart(both[0][inner, inner], both[1][inner, inner]))

    whole = _Overlay()
    cut = min(_cuts(one, other), key=apart)
    cropped = apart(cut) < _BETTER * apart(whole)
    best = min(cut.around(), key=lambda some: apart(some, _FINE, margin=1)) if cropped else whole
    if apart(best) > _ROUGH:
        return False
    lightness = min(_lit_alike(one, other, best), key=lambda some: float((some**2).mean()))
    if cropped:  # at the margin a bar may show by half a pixel
        lightness = np.pad(lightness[1:-1, 1:-1], ((1, 1), (1, 1), (0, 0)))
    blocks = lightness.mean(-1).reshape(_FINE // _BLOCK, _BLOCK, _FINE // _BLOCK, _BLOCK)
    worst = np.sqrt((blocks**2).mean((1, 3))).max()
    return bool(worst < (_LOSS_CROPPED if cropped else _LOSS))


def _far(one: _Part, other: _Part) -> bool:
    """Whether two pictures are different at a glance, however they are laid over each other."""
    some, others = one.glances, other.glances
    ones = [some, np.broadcast_to(some[0], others[1:].shape)]
    against = [np.broadcast_to(others[0], some.shape), others[1:]]
    for bars in _bars(one.picture, other.picture):
        ones.append(one.glance(bars.one)[None])
        against.append(other.glance(bars.other)[None])
    apart = _apart(np.concatenate(ones), np.concatenate(against), _FEW_GAINS)
    return bool((apart > _FAR).all())


def _lit_alike(one: Image.Image, other: Image.Image, overlay: _Overlay) -> Iterator[_Pixels]:
    """What is between both with either of them brighter; what is white stays white."""
    plain = _reduced(one, overlay.one, _FINE), _reduced(other, overlay.other, _FINE)
    yield plain[0] - plain[1]
    for gain in _GAINS[1:].tolist():
        brighter = [
            picture.point([min(round(level * gain), 255) for level in range(256)] * 3)
            for picture in (one, other)
        ]
        yield _reduced(brighter[0], overlay.one, _FINE) - plain[1]
        yield plain[0] - _reduced(brighter[1], overlay.other, _FINE)


def _cuts(one: Image.Image, other: Image.Image) -> Iterator[_Overlay]:
    """Crops and frames of either picture, and bars that give it the other's shape."""
    for share in _CUTS:
        yield _Overlay(one=(share, share))
        yield _Overlay(other=(share, share))
    yield from _bars(one, other)


def _bars(one: Image.Image, other: Image.Image) -> Iterator[_Overlay]:
    """Bars that give either picture the other's shape."""
    wider = _shape(one) / _shape(other)
    if abs(wider - 1) > _ASPECT:
        bars = ((1 - 1 / wider) / 2, 0.0) if wider > 1 else (0.0, (1 - wider) / 2)
        yield _Overlay(one=bars)
        yield _Overlay(other=bars[::-1])


def _reduced(picture: Image.Image, cut: tuple[float, float], side: int) -> _Pixels:
    """A square of so many pixels a side."""
    x, y = picture.width * cut[0], picture.height * cut[1]
    box = (x, y, picture.width - x, picture.height - y)
    return np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR, box=box), np.float32)


def _apart(
    one: Float[np.ndarray, "*pairs height width 3"],
    other: Float[np.ndarray, "*pairs height width 3"],
    gains: _Gains = _GAINS,
) -> Float[np.ndarray, "*pairs"]:
    """How far they differ in the best light, in levels (root mean square)."""
    gains = gains.reshape(-1, *[1] * one.ndim)
    lighter = [np.minimum(one * gains, 255) - other, np.minimum(other * gains, 255) - one]
    squares = (np.concatenate(lighter) ** 2).mean((-3, -2, -1))
    return np.asarray(np.sqrt(squares).min(0))
