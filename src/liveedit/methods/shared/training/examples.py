"""Corrections with questions around them, for methods that are trained or calibrated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from liveedit.correction import Correction

Asked = tuple[Image.Image | None, str]  # picture and question


@dataclass(frozen=True, kw_only=True)
class Example:
    """A correction, what it should answer, and what it should leave alone.

    Args:
        correction: The correction.
        concerned: Questions that should be answered with its target: in other words, about another
            picture of the same.
        unconcerned: Questions close by that no correction should answer.
    """

    correction: Correction
    concerned: Sequence[Asked]
    unconcerned: Sequence[Asked]
