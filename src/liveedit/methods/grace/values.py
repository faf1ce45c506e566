"""Values: what replaces the network's output, fitted until the model gives the target."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from liveedit.methods.grace.config import GraceConfig
from liveedit.methods.shared.feed_forward.network import FeedForwardChange, UpperPass

MARGIN = 0.1  # numerics differ between a whole pass and decoding with a cache


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What came of it.

    Args:
        values: One for each row.
        reached: Whether every token of the target is the likeliest with it.
        steps: Gradient steps taken.
    """

    values: Float[Tensor, "batch width"]
    reached: Bool[Tensor, " batch"]
    steps: Int[Tensor, " batch"]


def replacing(
    values: Float[Tensor, "rows width"], where: Bool[Tensor, "rows length"]
) -> FeedForwardChange:
    """The network's output, and at some tokens the value of their row instead."""

    def change(_entered: Tensor, left: Tensor) -> Tensor:
        return torch.where(where[..., None], values[:, None].to(left.dtype), left)

    return change


@torch.no_grad()
def fit_values(batch: UpperPass, config: GraceConfig) -> Fitted:
    """Fit a value for each question of a batch, from what leaves the network at its last token.

    Each row is fitted by itself: neither rows beside it nor earlier edits matter.

    Args:
        batch: Questions with targets.
        config: Steps, rate, margin.
    """
    values = _left_at_last(batch).clone().requires_grad_()
    optimiser = torch.optim.Adam([values], lr=config.rate)
    best = values.detach().clone()
    most = torch.full((len(best),), -torch.inf, device=best.device)
    steps = torch.zeros(len(best), dtype=torch.long, device=best.device)
    asked = batch
    for step in range(config.steps + 1):
        at = asked.at.to(best.device)
        with torch.enable_grad():
            logits = asked.logits(replacing(values[at], asked.where))
        margins = asked.margins(logits).to(best.device)
        better = margins > most[at]
        best[at[better]], most[at[better]] = values.detach()[at[better]], margins[better]
        active = most <= config.margin
        if step == config.steps or not active.any():
            break
        with torch.enable_grad():
            words, rows = asked.words.to(logits.device), asked.rows.to(logits.device)
            each = F.cross_entropy(logits, words, reduction="none")
            counts = torch.bincount(rows, minlength=len(at)).clamp(min=1)
            loss = (each * active[at].to(each)[rows] / counts[rows]).sum()
            (values.grad,) = torch.autograd.grad(loss, [values])
        optimiser.step()
        steps += active
        asked = asked.still(active)
    return Fitted(values=best, reached=most > MARGIN, steps=steps)


def _left_at_last(batch: UpperPass) -> Float[Tensor, "batch width"]:
    """What leaves the unedited network at the last token of each prompt."""
    found: list[Tensor] = []
    last = batch.where.float().argmax(1)

    def look(_entered: Tensor, left: Tensor) -> None:
        found.append(left[torch.arange(len(left), device=left.device), last.to(left.device)])

    batch.logits(look)
    return found[0].float()
