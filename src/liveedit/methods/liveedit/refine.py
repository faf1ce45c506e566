"""Verify and refine: is a correction's target reproduced, and if not, a few steps on its expert.

Only U and V of that expert move. What an expert is refined on is what it answers, so a long target,
for which no generator was trained, is refined over other words and another view of the picture,
too. A short one must leave its neighbours (other questions about the same picture) as they were
with the expert added as strongly as for the correction, so that a router's mistake does little
harm.

Experts are looked at as they are kept, rounded to half precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from liveedit.backbones.base import Backbone, Query
from liveedit.methods.liveedit.config import LiveEditConfig
from liveedit.methods.liveedit.context import answer_share
from liveedit.methods.liveedit.experts import Experts, apply_experts
from liveedit.methods.liveedit.representation import StateScale, standardise

# by how much the logit of a target's token must exceed all others: numerics differ between a whole
# pass and decoding with a cache
MARGIN = 0.1
_SLACK = 0.5  # steps go on about a token until its margin exceeds what is wanted by this
_TOKENS = 1536  # so many target tokens are refined together: their logits are held in memory


@dataclass(frozen=True, kw_only=True)
class EditLayerBatch:
    """Queries at the edit layer, each with the expert of one correction added.

    Args:
        states: Unedited states.
        attention_mask: One where a token is.
        keep: Positions whose predictions count.
        following: Id of the token after each position.
        owner: Number of the correction.
        weights: How strongly the router adds its expert.
        share: Of that and of the residual, what is added at each position.
        residual: What other edits add, in units of the backbone's scale; None for nothing.
        per_token: What else the layers above read, see `Query`.
    """

    states: Float[Tensor, "batch length width"]
    attention_mask: Int[Tensor, "batch length"]
    keep: Bool[Tensor, "batch length"]
    following: Int[Tensor, "batch length"]
    owner: Int[Tensor, " batch"]
    weights: Float[Tensor, " batch"]
    share: Float[Tensor, "batch length"]
    residual: Float[Tensor, "batch length width"] | None = None
    per_token: Mapping[str, Tensor] = field(default_factory=dict)

    @staticmethod
    def of(
        query: Query,
        states: Float[Tensor, "batch length width"],
        keep: Bool[Tensor, "batch length"],
        *,
        owner: Int[Tensor, " batch"],
        weights: Float[Tensor, " batch"],
        context: float,
        residual: Float[Tensor, "batch length width"] | None = None,
    ) -> EditLayerBatch:
        """A tokenised batch with its states; ``context`` is the router's gain for long prompts."""
        return EditLayerBatch(
            states=states,
            attention_mask=query.attention_mask,
            keep=keep,
            following=query.input_ids.roll(-1, 1),
            owner=owner,
            weights=weights,
            share=answer_share(query.spans, context),
            residual=residual,
            per_token=query.per_token,
        )

    def of_owners(self, which: Bool[Tensor, " corrections"]) -> EditLayerBatch:
        """The queries of some corrections."""
        rows = which[self.owner]
        if rows.all():
            return self
        return EditLayerBatch(
            states=self.states[rows],
            attention_mask=self.attention_mask[rows],
            keep=self.keep[rows],
            following=self.following[rows],
            owner=self.owner[rows],
            weights=self.weights[rows],
            share=self.share[rows],
            residual=None if self.residual is None else self.residual[rows],
            per_token={name: value[rows] for name, value in self.per_token.items()},
        )

    @property
    def words(self) -> Int[Tensor, " kept"]:
        """Ids of the tokens that should follow the kept positions."""
        return self.following[self.keep]

    @property
    def rows(self) -> Int[Tensor, " kept"]:
        """The query of each kept position."""
        return self.keep.nonzero()[:, 0]


@dataclass(frozen=True, kw_only=True)
class Around:
    """What lies around some corrections; of some there may be nothing.

    Args:
        same: Other ways to ask that want the target, the target's tokens kept.
        other: Neighbours, which want what they had, the last position kept.
    """

    same: EditLayerBatch | None
    other: EditLayerBatch | None


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


LookAround = Callable[[Bool[Tensor, " batch"]], Around]


@torch.no_grad()
def verify_and_refine(
    backbone: Backbone,
    scale: StateScale,
    experts: Experts,
    corrections: EditLayerBatch,
    *,
    around: LookAround,
    broad: Bool[Tensor, " batch"],
    config: LiveEditConfig,
) -> Refined:
    """Verify a batch of experts; refine those that fall short.

    Args:
        backbone: The frozen model.
        scale: Its scale at the edit layer.
        experts: One for each correction.
        corrections: Questions with their targets, kept where a token of the target follows.
        around: What lies around some of them.
        broad: Which must hold for other ways to ask, too.
        config: Steps, rate, margin, weight of the neighbours.
    """
    logits = _logits(backbone, scale, corrections, experts.halved)
    reached = _least(_margins(logits, corrections), corrections) > MARGIN
    steps = torch.zeros_like(corrections.owner)
    short = (~reached | broad) & (corrections.weights > 0)
    for some in _together(short, corrections.keep.sum(1)):
        fitted = _refine(backbone, scale, experts, corrections, around(some), some, config)
        experts = fitted.experts
        reached[some], steps[some] = fitted.reached[some], fitted.steps[some]
    return Refined(experts=experts.halved, reached=reached, steps=steps)


def _together(
    short: Bool[Tensor, " batch"], tokens: Int[Tensor, " batch"]
) -> Iterator[Bool[Tensor, " batch"]]:
    """Corrections that are refined together, such that their logits fit into memory."""
    some, held = torch.zeros_like(short), 0
    for row in short.nonzero().flatten().tolist():
        count = int(tokens[row])
        if held and held + count > _TOKENS:
            yield some
            some, held = torch.zeros_like(short), 0
        some[row] = True
        held += count
    if held:
        yield some


def _refine(
    backbone: Backbone,
    scale: StateScale,
    experts: Experts,
    corrections: EditLayerBatch,
    around: Around,
    active: Bool[Tensor, " batch"],
    config: LiveEditConfig,
) -> Refined:
    """Fit the experts of the active corrections; the others are not looked at."""
    u, v = (part.detach().clone().requires_grad_() for part in (experts.u, experts.v))
    optimiser = torch.optim.Adam([u, v], lr=config.refine_rate)
    own, same, other = corrections.of_owners(active), around.same, around.other
    before = None if other is None else _logits(backbone, scale, other, None).log_softmax(-1)
    found = Refined(
        experts=Experts(u=u.detach().clone(), v=v.detach().clone()),
        reached=torch.zeros_like(active),
        steps=torch.zeros_like(corrections.owner),
    )
    for step in range(config.refine_steps + 1):
        with torch.enable_grad():
            now = Experts(u=u, v=v).halved
            told = [(one, _logits(backbone, scale, one, now)) for one in (own, same) if one]
        of_tokens = [_margins(logits.detach(), one) for one, logits in told]
        margins = torch.full_like(corrections.weights, torch.inf)
        for (one, _), margin in zip(told, of_tokens, strict=True):
            least = _least(margin, one)
            margins = margins.scatter_reduce(0, one.owner, least, "amin")
            if one is own:
                reached = torch.zeros_like(active)
                reached[own.owner] = least > MARGIN
        # the last that gave its own target stays, unless a later one does more
        better = active & (reached | ~found.reached)
        for part, latest in ((found.experts.u, u), (found.experts.v, v)):
            part[better] = latest.detach()[better]
        found.reached[better] = reached[better]
        active = active & (margins <= config.refine_margin)
        if step == config.refine_steps or not active.any():
            break
        with torch.enable_grad():
            wanted = [(margin <= config.refine_margin + _SLACK).float() for margin in of_tokens]
            losses = [
                _surprise(logits, one, active, short)
                for (one, logits), short in zip(told, wanted, strict=True)
            ]
            loss = torch.stack(losses).sum()
            if other is not None and before is not None:
                loss = loss + config.refine_locality * _moved(
                    before, _logits(backbone, scale, other, now), other, active
                )
            u.grad, v.grad = torch.autograd.grad(loss, [u, v])
        optimiser.step()
        found.steps.add_(active)
        own = own.of_owners(active)
        same = _of_owners(same, active)
        if other is not None and before is not None:
            before = before[active[other.owner[other.rows]]]
            other = _of_owners(other, active)
    return found


def _of_owners(
    asked: EditLayerBatch | None, which: Bool[Tensor, " batch"]
) -> EditLayerBatch | None:
    """The queries of some corrections; None if there are none."""
    return asked.of_owners(which) if asked is not None and which[asked.owner].any() else None


def _surprise(
    logits: Float[Tensor, "kept vocabulary"],
    asked: EditLayerBatch,
    active: Bool[Tensor, " batch"],
    short: Float[Tensor, " kept"],
) -> Float[Tensor, ""]:
    """Cross-entropy of the tokens that fall short, the mean over those of each active correction.

    A sum over corrections, so that none is the weaker for the others of its batch; and tokens that
    are right do not hold back the few of a long target that are not.
    """
    rows = asked.rows
    short = short * active[asked.owner][rows]
    counts = torch.zeros_like(asked.weights).index_add(0, rows, short).clamp(min=1.0)
    return (F.cross_entropy(logits, asked.words, reduction="none") * short / counts[rows]).sum()


def _moved(
    before: Tensor, after: Tensor, asked: EditLayerBatch, active: Bool[Tensor, " batch"]
) -> Tensor:
    """Divergence on the neighbours of the active corrections, the mean over each one's."""
    divergence = F.kl_div(after.log_softmax(-1), before, log_target=True, reduction="none").sum(1)
    share = active[asked.owner] / torch.bincount(asked.owner, minlength=len(active))[asked.owner]
    return (divergence * share[asked.rows]).sum()


def _logits(
    backbone: Backbone, scale: StateScale, asked: EditLayerBatch, experts: Experts | None
) -> Float[Tensor, "kept vocabulary"]:
    """Predictions at the kept positions, with each correction's expert added; float32."""
    hidden = asked.states
    residual = torch.zeros(()) if asked.residual is None else asked.residual
    if experts is not None:
        added = apply_experts(
            standardise(hidden, scale), experts.some(asked.owner), asked.weights[:, None]
        )
        residual = residual + added
    edited = hidden + (scale.unit * asked.share[..., None] * residual).to(hidden.dtype)
    return backbone.finish(edited, asked.attention_mask, asked.keep, asked.per_token).float()


def _margins(
    logits: Float[Tensor, "kept vocabulary"], asked: EditLayerBatch
) -> Float[Tensor, " kept"]:
    """By how much the logit of each target token exceeds all others."""
    words = asked.words[:, None].to(logits.device)
    others = logits.scatter(1, words, -torch.inf).amax(1)
    return (logits.gather(1, words)[:, 0] - others).to(asked.weights.device)


def _least(margins: Float[Tensor, " kept"], asked: EditLayerBatch) -> Float[Tensor, " batch"]:
    """At the worst position of each query."""
    return torch.full_like(asked.weights, torch.inf).scatter_reduce(0, asked.rows, margins, "amin")
