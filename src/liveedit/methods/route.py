"""Which edits concern a query, and how much."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from jaxtyping import Bool, Float
from torch import Tensor

from liveedit.store.edit import Edit
from liveedit.store.pool import Pool


@dataclass(frozen=True, kw_only=True)
class Route:
    """Scores and weights of every edit for every query.

    A method that knows no such scores gives zeros, and thresholds of zero.

    Args:
        vision: How alike the pictures are.
        threshold: What that must exceed.
        prompt: How alike the questions are, less what that must exceed.
        passes: Whether the edit passes.
        weights: How much the edit is used, zero where it does not pass.
    """

    vision: Float[Tensor, "batch edits"]
    threshold: Float[Tensor, "batch 1"]
    prompt: Float[Tensor, "batch edits"]
    passes: Bool[Tensor, "batch edits"]
    weights: Float[Tensor, "batch edits"]


TellRoute: TypeAlias = Callable[[Route, Pool], None]


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Why an edit does or does not concern a query.

    Args:
        edit: The edit.
        vision: Similarity of what the pictures show; for text-only ones, of their subjects, if the
            method has a feature of them.
        threshold: What it must exceed. For LiveEdit the vision sentinel's similarity plus the
            margin, which grows with the edits in force.
        passes: Whether it does, and the question passes, too.
        prompt: Similarity of the questions less its margin. For LiveEdit the argument of the
            sigmoid.
        weight: How much the edit is used; zero if it does not pass.
    """

    edit: Edit
    vision: float
    threshold: float
    passes: bool
    prompt: float
    weight: float
