"""The hook on the edit layer: at prefill read, route and add; at every decode step add again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from liveedit.backbones.layer_hook import LayerHook
from liveedit.backbones.spans import Spans
from liveedit.errors import UnsupportedGeneration
from liveedit.methods.liveedit.context import answer_share
from liveedit.methods.liveedit.experts import Experts, ExpertSlots, apply_experts
from liveedit.methods.liveedit.representation import Representation, StateScale, standardise


@dataclass(frozen=True, kw_only=True)
class RoutedExperts:
    """What each row of a batch has been routed to.

    Args:
        experts: Those of each row side by side: u and v of shape (batch, slots, width).
        weights: Soft weights: one for each slot, or for each of equally many slots; zero on
            padding.
    """

    experts: Experts
    weights: Float[Tensor, "batch weights"]

    def add_to(
        self,
        hidden: Float[Tensor, "batch length width"],
        scale: StateScale,
        share: Float[Tensor, "batch #length"] | None = None,
    ) -> Float[Tensor, "batch length width"]:
        """Hidden states with the residual added; rows routed to nothing stay bit-identical.

        Args:
            hidden: States of the edit layer.
            scale: The backbone's scale there.
            share: Of the residual, what is added at each position, see
                :func:`~liveedit.methods.liveedit.context.answer_share`; all of it by default.
        """
        residual = apply_experts(standardise(hidden, scale), self.experts, self.weights)
        if share is not None:
            residual = share[..., None] * residual
        edited = hidden + (scale.unit * residual).to(hidden.dtype)
        concerned = (self.weights != 0).any(1)[:, None, None]
        return torch.where(concerned, edited, hidden)

    def rows(self, which: Int[Tensor, " some"]) -> RoutedExperts:
        """Some rows of the batch."""
        return RoutedExperts(experts=self.experts.some(which), weights=self.weights[which])

    def digest(self, row: int) -> bytes:
        """What is added to a row; padding does not matter."""
        rank = self.experts.u.shape[1] // self.weights.shape[1]
        weights = self.weights[row].repeat_interleave(rank)
        used = weights != 0
        digest = hashlib.blake2b(digest_size=16)
        for part in (weights[used], self.experts.u[row, used], self.experts.v[row, used]):
            digest.update(part.contiguous().cpu().numpy().data)
        return digest.digest()

    def repeat(self, times: int) -> RoutedExperts:
        """Each row several times in a row."""
        return RoutedExperts(
            experts=Experts(
                u=self.experts.u.repeat_interleave(times, 0),
                v=self.experts.v.repeat_interleave(times, 0),
            ),
            weights=self.weights.repeat_interleave(times, 0),
        )


# at most so many experts are added for one query: those with the largest weights
_MOST_EXPERTS = 16


def fetch(weights: Float[Tensor, "batch experts"], pool: ExpertSlots) -> RoutedExperts | None:
    """Each row's own experts out of a pool, side by side; None if no row has any.

    A row has as many slots as its own experts, and is padded to those of the batch's longest.

    Args:
        weights: Soft weights, zero for an expert that a row is not routed to.
        pool: All experts.
    """
    most = min(int((weights != 0).sum(1).max()), _MOST_EXPERTS) if weights.numel() else 0
    if most == 0:
        return None
    weights, chosen = weights.topk(most, dim=1)
    ranks = pool.ranks[chosen].masked_fill(weights == 0, 0)
    ends = ranks.cumsum(1)
    slot = torch.arange(int(ends[:, -1].max()), device=weights.device).expand(len(weights), -1)
    # which of the row's experts a slot belongs to; behind the last there is padding
    own = torch.searchsorted(ends, slot.contiguous(), right=True)
    padding, own = own == most, own.clamp(max=most - 1)
    starts = (pool.ranks.cumsum(0) - pool.ranks)[chosen] - (ends - ranks)
    index = (starts.gather(1, own) + slot).masked_fill(padding, 0)
    return RoutedExperts(
        experts=Experts(u=pool.u[index], v=pool.v[index]),
        weights=weights.gather(1, own).masked_fill(padding, 0.0),
    )


ChooseExperts = Callable[[Representation], RoutedExperts | None]


@contextmanager
def edited_layer(
    hook: LayerHook,
    spans: Spans,
    scale: StateScale,
    choose: ChooseExperts,
    *,
    context: float = 0.0,
) -> Iterator[None]:
    """While open, the layer's output carries the residual of the experts its rows are routed to.

    That is so for the passes of this thread or task alone.

    The first pass (prefill) decides the route from the states it computes anyway; later passes
    (one token each with a cache, the whole sequence without) apply the same route. Beam search
    repeats rows, and all beams of a query share its route, so reordering them changes nothing.

    Args:
        hook: That of the decoder layer whose output is edited.
        spans: Spans of the prompt batch.
        scale: The backbone's scale at this layer.
        choose: Routes a batch; None means that no row is routed to anything.
        context: The router's gain for every doubling of a prompt's length, which answers get less
            of.

    Raises:
        UnsupportedGeneration: The first pass does not hold the whole prompt (chunked prefill, or a
            cache that the caller filled).
    """
    rows, length = spans.prompt.shape
    routed: RoutedExperts | None = None
    repeated = 0  # how many rows of the model stand for one of the prompt; 0 before prefill

    def change(hidden: Tensor) -> Tensor:
        nonlocal routed, repeated
        times, rest = divmod(hidden.shape[0], rows)
        if repeated == 0:
            if hidden.shape[1] != length or rest:
                raise UnsupportedGeneration(
                    "the prompt must be processed in one pass; do not pass prefill_chunk_size "
                    "or a cache that was filled before"
                )
            states = standardise(hidden[::times], scale)
            routed = choose(Representation(states=states, spans=spans))
            repeated = 1
        if routed is None:
            return hidden
        if rest or times % repeated:
            raise UnsupportedGeneration(
                "rows disappeared while generating; use a way of decoding that keeps the batch"
            )
        if times > repeated:
            routed, repeated = routed.repeat(times // repeated), times
        share = answer_share(spans, context, hidden.shape[1])
        return routed.add_to(hidden, scale, share.repeat_interleave(times, 0))

    with hook.changing(change):
        yield
