"""Verify and refine: is a correction's target reproduced, and if not, a few steps on its expert.

Only U and V of that expert move. Its neighbours (other questions about the same picture) must keep
their answers with the expert added as strongly as for the correction, so that a router's mistake
does little harm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from liveedit.backbones.base import Backbone, Query
from liveedit.methods.liveedit.config import LiveEditConfig
from liveedit.methods.liveedit.generator import Experts, apply_experts
from liveedit.methods.liveedit.representation import StateScale, standardise


@dataclass(frozen=True, kw_only=True)
class EditLayerBatch:
    """Queries at the edit layer.

    Args:
        states: Unedited states.
        attention_mask: One where a token is.
        keep: Positions whose predictions count.
        following: Id of the token after each position.
        residual: What other edits add, in units of the backbone's scale; None for nothing.
        per_token: What else the layers above read, see `Query`.
    """

    states: Float[Tensor, "batch length width"]
    attention_mask: Int[Tensor, "batch length"]
    keep: Bool[Tensor, "batch length"]
    following: Int[Tensor, "batch length"]
    residual: Float[Tensor, "batch length width"] | None = None
    per_token: Mapping[str, Tensor] = field(default_factory=dict)

    @staticmethod
    def of(
        query: Query,
        states: Float[Tensor, "batch length width"],
        keep: Bool[Tensor, "batch length"],
        residual: Float[Tensor, "batch length width"] | None = None,
    ) -> EditLayerBatch:
        """A tokenised batch with its states."""
        return EditLayerBatch(
            states=states,
            attention_mask=query.attention_mask,
            keep=keep,
            following=query.input_ids.roll(-1, 1),
            residual=residual,
            per_token=query.per_token,
        )

    def rows(self, which: Int[Tensor, " some"]) -> EditLayerBatch:
        """Some of the queries."""
        return EditLayerBatch(
            states=self.states[which],
            attention_mask=self.attention_mask[which],
            keep=self.keep[which],
            following=self.following[which],
            residual=None if self.residual is None else self.residual[which],
            per_token={name: value[which] for name, value in self.per_token.items()},
        )


@dataclass(frozen=True, kw_only=True)
class Refined:
    """What came of it.

    Args:
        experts: The batch's experts, changed where the target was not reproduced.
        reached: Whether every token of the target, its end included, is now the likeliest.
        steps: Gradient steps taken.
    """

    experts: Experts
    reached: Bool[Tensor, " batch"]
    steps: Int[Tensor, " batch"]


Neighbours = Callable[[Int[Tensor, " some"]], EditLayerBatch]


@torch.no_grad()
def verify_and_refine(
    backbone: Backbone,
    scale: StateScale,
    experts: Experts,
    weights: Float[Tensor, " batch"],
    corrections: EditLayerBatch,
    neighbours: Neighbours,
    config: LiveEditConfig,
) -> Refined:
    """Verify a batch of experts; refine those that fall short.

    Args:
        backbone: The frozen model.
        scale: Its scale at the edit layer.
        experts: One for each correction.
        weights: How strongly the router adds each to its own correction.
        corrections: Questions with their targets, kept where a token of the target follows.
        neighbours: From the numbers of corrections to the same number of neighbours for each, one
            correction's after the other's.
        config: Steps, rate, weight of the neighbours.
    """
    reached = _reached(_logits(backbone, scale, corrections, experts, weights), corrections)
    steps = torch.zeros_like(reached, dtype=torch.long)
    short = (~reached).nonzero().flatten()
    if len(short) and config.refine_steps:
        fitted = _refine(
            backbone,
            scale,
            Experts(u=experts.u[short], v=experts.v[short]),
            weights[short],
            corrections.rows(short),
            neighbours(short),
            config,
        )
        experts = Experts(
            u=experts.u.index_copy(0, short, fitted.experts.u),
            v=experts.v.index_copy(0, short, fitted.experts.v),
        )
        reached[short], steps[short] = fitted.reached, fitted.steps
    return Refined(experts=experts, reached=reached, steps=steps)


def _refine(
    backbone: Backbone,
    scale: StateScale,
    experts: Experts,
    weights: Float[Tensor, " batch"],
    corrections: EditLayerBatch,
    neighbours: EditLayerBatch,
    config: LiveEditConfig,
) -> Refined:
    u, v = (part.detach().clone().requires_grad_() for part in (experts.u, experts.v))
    optimiser = torch.optim.Adam([u, v], lr=config.refine_rate)
    words = corrections.following[corrections.keep]
    counts = corrections.keep.sum(1)
    short = torch.ones_like(counts, dtype=torch.bool)
    steps = torch.zeros_like(counts)
    before = _logits(backbone, scale, neighbours, None, weights).log_softmax(-1)
    for _ in range(config.refine_steps):
        with torch.enable_grad():
            now = Experts(u=u, v=v)
            logits = _logits(backbone, scale, corrections, now, weights)
            # summed over corrections, so that none is the weaker for the others of its batch
            surprise = F.cross_entropy(logits, words, reduction="none") / _spread(counts)
            after = _logits(backbone, scale, neighbours, now, weights).log_softmax(-1)
            moved = F.kl_div(after, before, log_target=True, reduction="none").sum()
            each = len(neighbours.states) // len(u)
            u.grad, v.grad = torch.autograd.grad(
                surprise.sum() + config.refine_locality * moved / each, [u, v]
            )
        done = u.detach().clone(), v.detach().clone()
        optimiser.step()
        u[~short], v[~short] = (part[~short] for part in done)  # Adam's momentum moves all
        steps += short
        short = ~_reached(
            _logits(backbone, scale, corrections, Experts(u=u, v=v), weights), corrections
        )
        if not short.any():
            break
    return Refined(experts=Experts(u=u.detach(), v=v.detach()), reached=~short, steps=steps)


def _logits(
    backbone: Backbone,
    scale: StateScale,
    asked: EditLayerBatch,
    experts: Experts | None,
    weights: Float[Tensor, " batch"],
) -> Float[Tensor, "kept vocabulary"]:
    """Predictions at the kept positions, with each correction's expert added; float32."""
    hidden = asked.states
    residual = torch.zeros(()) if asked.residual is None else asked.residual
    if experts is not None:
        times = len(hidden) // len(weights)
        each = Experts(
            u=experts.u.repeat_interleave(times, 0), v=experts.v.repeat_interleave(times, 0)
        )
        own = weights.repeat_interleave(times)[:, None]
        residual = residual + apply_experts(standardise(hidden, scale), each, own)
    edited = hidden + (scale.unit * residual).to(hidden.dtype)
    return backbone.finish(edited, asked.attention_mask, asked.keep, asked.per_token).float()


def _reached(
    logits: Float[Tensor, "kept vocabulary"], asked: EditLayerBatch
) -> Bool[Tensor, " batch"]:
    counts = asked.keep.sum(1)
    right = logits.argmax(-1) == asked.following[asked.keep]
    rows = torch.arange(len(counts), device=counts.device).repeat_interleave(counts)
    return torch.zeros_like(counts).index_add(0, rows, right.long()) == counts


def _spread(counts: Int[Tensor, " batch"]) -> Int[Tensor, " kept"]:
    """Each row's number of kept positions, once for each of them."""
    return counts.repeat_interleave(counts)
