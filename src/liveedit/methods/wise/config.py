"""Settings of WISE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import Field

from liveedit.methods.shared.weights.weight_method import WeightConfig


class WiseConfig(WeightConfig):
    """How a correction is learned, and when the side memory answers.

    Args:
        layer: Index of the decoder layer whose down-projection has a side memory; at three
            quarters of the depth by default.
        density: Share of the matrix that a mask lets learn.
        per_mask: So many edits learn in one mask.
        masks: So many masks are merged into one memory.
        trim: Share of the largest changes of each mask that a merge keeps, of the whole matrix.
        alpha: What an unrelated question may activate the side memory.
        beta: What a correction's question must activate it.
        gamma: By how much more it must.
        ratio: Share of the least activation of an edit above which the side memory answers.
        rate: Learning rate of SGD.
        steps: Gradient steps at most.
        enough: The steps end when the loss of the target, in nats a token, and what the margins
            are missed by are below this.
        norm: How far each number of the matrix may be moved by one edit.
    """

    search_space: ClassVar[Mapping[str, Sequence[object]]] = {
        "rate": (0.1, 0.3, 1.0),
        "beta": (10.0, 20.0),
        "ratio": (0.7, 0.88, 0.95),
        "per_mask": (10, 50),
    }

    layer: int | None = Field(default=None, ge=0)
    density: float = Field(default=0.2, gt=0.0, le=1.0)
    per_mask: int = Field(default=20, ge=1)
    masks: int = Field(default=2, ge=1)
    trim: float = Field(default=0.53, gt=0.0, le=1.0)
    alpha: float = Field(default=5.0, ge=0.0)
    beta: float = Field(default=20.0, ge=0.0)
    gamma: float = Field(default=10.0, ge=0.0)
    ratio: float = Field(default=0.88, gt=0.0, le=1.0)
    rate: float = Field(default=0.3, gt=0.0)
    steps: int = Field(default=70, ge=1)
    enough: float = Field(default=0.1, gt=0.0)
    norm: float = Field(default=1.0, gt=0.0)
