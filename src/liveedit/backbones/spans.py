"""Which positions of a tokenised batch are image, prompt and target."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
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
        """The positions whose logits predict a target token, each one before it."""
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
