"""What the editor reads of a query: hidden states at the edit layer, cut into spans."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Spans:
    """Which positions of a padded batch are image, prompt and target; all else is left out.

    The prompt starts after the last image token (without an image: after the first position, whose
    state is an outlier in most models) and ends where the answer begins.
    """

    vision: Bool[Tensor, "batch length"]
    prompt: Bool[Tensor, "batch length"]
    target: Bool[Tensor, "batch length"]

    @property
    def predicts(self) -> Bool[Tensor, "batch length"]:
        """The positions whose logits predict a target token: each one before it."""
        return self.target.roll(-1, 1)

    def to(self, device: torch.device) -> Spans:
        """The same on another device."""
        return Spans(
            vision=self.vision.to(device),
            prompt=self.prompt.to(device),
            target=self.target.to(device),
        )

    def rows(self, which: slice) -> Spans:
        """Some rows of the batch."""
        return Spans(
            vision=self.vision[which], prompt=self.prompt[which], target=self.target[which]
        )


def find_spans(
    input_ids: Int[Tensor, "batch length"],
    attention_mask: Int[Tensor, "batch length"],
    image_token_id: int,
    target_lengths: Int[Tensor, " batch"] | None = None,
) -> Spans:
    """Locate the spans of a batch padded on either side.

    Args:
        input_ids: Token ids with one placeholder for every image token.
        attention_mask: One where a token is, zero on padding.
        image_token_id: Id of the placeholder.
        target_lengths: How many tokens at the end of each row are the target; none by default.
    """
    real = attention_mask.bool()
    position = real.long().cumsum(1)  # 1 at the first real token
    length = position[:, -1:]
    vision = (input_ids == image_token_id) & real
    last_image = torch.where(vision, position, 0).amax(1, keepdim=True).clamp(min=1)
    lengths = torch.zeros_like(length) if target_lengths is None else target_lengths[:, None]
    target = real & (position > length - lengths)
    prompt = real & ~vision & ~target & (position > last_image)
    return Spans(vision=vision, prompt=prompt, target=target)


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
