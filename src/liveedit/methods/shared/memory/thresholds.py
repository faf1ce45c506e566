"""How alike picture and question must be: chosen on validation corrections."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

_STEPS = 80  # thresholds that are tried for each key


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Cosines of some queries with all edits in force.

    Args:
        vision: Of pictures; -1 where the query or the edit has none.
        prompt: Of questions.
        own: For each query the edit it should find; -1 where it should find none.
    """

    vision: Float[Tensor, "queries edits"]
    prompt: Float[Tensor, "queries edits"]
    own: Float[Tensor, " queries"]


def found(
    vision: Float[Tensor, "queries edits"],
    prompt: Float[Tensor, "queries edits"],
    passes: Bool[Tensor, "queries edits"],
) -> Float[Tensor, " queries"]:
    """The nearest edit of those that pass: largest sum of both cosines; -1 if none does."""
    if not passes.any():
        return vision.new_full((len(vision),), -1.0)
    nearest = (vision + prompt).masked_fill(~passes, -torch.inf).argmax(1)
    return torch.where(passes.any(1), nearest, -1).float()


def best_thresholds(compared: Compared) -> tuple[float, float, float]:
    """Thresholds of picture and question that find most of what they should, and nothing else.

    The measure is the mean of two shares: of queries with an edit of their own those that find it,
    and of the others those that find none.

    Returns:
        Both thresholds, and the measure, in [0, 1].
    """
    wanted = compared.own >= 0
    best = (0.0, 0.0, -1.0)
    for low in _grid(compared.vision):
        seen = compared.vision > low
        for least in _grid(compared.prompt):
            right = found(compared.vision, compared.prompt, seen & (compared.prompt > least))
            hit = (right == compared.own).float()
            shares = [hit[part].mean() for part in (wanted, ~wanted) if part.any()]
            score = float(torch.stack(shares).mean())
            if score > best[2]:
                best = (low, least, score)
    return best


def _grid(cosines: Float[Tensor, "queries edits"]) -> list[float]:
    """Thresholds from zero to the largest cosine; one for all where nothing differs."""
    high = float(cosines.max())
    if high <= 0:
        return [-2.0]  # no picture anywhere: the picture says nothing
    return torch.linspace(0.0, high, _STEPS + 1)[:-1].tolist()
