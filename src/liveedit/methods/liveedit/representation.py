"""What the editor reads of a query: hidden states at the edit layer, cut into spans."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from liveedit.backbones.spans import Spans


@dataclass(frozen=True, kw_only=True)
class Representation:
    """Standardised states of a batch with their spans.

    Args:
        states: See :func:`standardise`.
        spans: Where image, prompt and target are.
        lexical: Output embeddings of the tokens at the target's positions, zero elsewhere; unit
            root mean square. None for queries, which have no target.
    """

    states: Float[Tensor, "batch length width"]
    spans: Spans
    lexical: Float[Tensor, "batch length width"] | None = None

    def rows(self, which: slice) -> Representation:
        """Some rows of the batch."""
        return Representation(
            states=self.states[which],
            spans=self.spans.rows(which),
            lexical=None if self.lexical is None else self.lexical[which],
        )


@dataclass(frozen=True, kw_only=True)
class StateScale:
    """The backbone's own scale at the edit layer, measured once.

    Hidden states differ by orders of magnitude between backbones and layers; everything the editor
    reads and adds is in these units.

    Args:
        mean: Mean state over ordinary positions.
        deviation: Standard deviation of every channel.
    """

    mean: Float[Tensor, " width"]
    deviation: Float[Tensor, " width"]

    @property
    def unit(self) -> Tensor:
        """Typical size of a channel: what a residual of one means, scalar."""
        return self.deviation.median()


_CLIP = 8.0


def standardise(
    hidden: Float[Tensor, "*batch width"], scale: StateScale
) -> Float[Tensor, "*batch width"]:
    """Hidden states in the backbone's own units, outliers clipped; float32."""
    return ((hidden.float() - scale.mean) / scale.deviation).clamp(-_CLIP, _CLIP)


def measure_scale(hidden: Float[Tensor, "positions width"]) -> StateScale:
    """Mean and deviation over positions, leaving out the few with outlying norms."""
    hidden = hidden.float()
    norms = hidden.norm(dim=-1)
    kept = hidden[norms < 5 * norms.median()]
    return StateScale(mean=kept.mean(0), deviation=kept.std(0).clamp(min=1e-6))


def cut(
    states: Float[Tensor, "batch length width"], span: Bool[Tensor, "batch length"]
) -> tuple[Float[Tensor, "batch longest width"], Bool[Tensor, "batch longest"]]:
    """The states of one span only, moved to the front of a shorter tensor, and which are real."""
    longest = max(int(span.sum(1).max()), 1)
    order = span.byte().argsort(dim=1, descending=True, stable=True)[:, :longest]
    return torch.take_along_dim(states, order[..., None], 1), span.gather(1, order)
