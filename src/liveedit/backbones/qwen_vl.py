"""Qwen2-VL, Qwen2.5-VL and Qwen3-VL: pictures at their own resolution, positions in three axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers.models.qwen3_vl.modeling_qwen3_vl import BaseModelOutputWithDeepstackFeatures
from transformers.utils import ModelOutput

from liveedit.backbones.base import Backbone
from liveedit.backbones.query import Picture, Query
from liveedit.backbones.spans import Spans
from liveedit.backbones.vision import flat


class Qwen2VLBackbone(Backbone):
    """``Qwen2VLForConditionalGeneration`` of transformers."""

    family = "qwen2_vl"
    keeps_state = True  # the rotary offsets of the answer that is being generated
    picture_inputs = ("image_grid_thw",)
    required_per_token = ("position_ids",)

    def inputs_beside(self, spans: Spans, pictures: Sequence[Picture]) -> dict[str, Tensor]:
        """The grids of all pictures, and which tokens are of a picture."""
        inputs = super().inputs_beside(spans, pictures)
        return inputs | {"mm_token_type_ids": spans.vision.int()} if pictures else {}

    def position_ids(
        self,
        input_ids: Int[Tensor, "batch length"],
        attention_mask: Int[Tensor, "batch length"],
        inputs: Mapping[str, Tensor],
    ) -> Int[Tensor, "3 batch length"]:
        """Time, height and width."""
        if not inputs:
            return super().position_ids(input_ids, attention_mask, inputs).expand(3, -1, -1)
        positions, _ = self.model.model.get_rope_index(
            input_ids, attention_mask=attention_mask, **inputs
        )
        return positions

    def per_token(
        self, position_ids: Int[Tensor, "3 batch length"], inputs: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Positions, which the ids alone do not tell: (batch, length, 3)."""
        return {"position_ids": position_ids.permute(1, 2, 0)}

    def decoder_inputs(
        self,
        hidden: Float[Tensor, "batch length width"],
        attention_mask: Int[Tensor, "batch length"],
        per_token: Mapping[str, Tensor],
    ) -> dict[str, Any]:
        """Mask and positions as the decoder takes them."""
        positions = per_token["position_ids"].permute(2, 0, 1).to(hidden.device)
        return {"attention_mask": attention_mask.to(hidden.device), "position_ids": positions}

    def generated_ids(
        self, query: Query, options: Mapping[str, Any]
    ) -> Int[Tensor, "sequences length"] | ModelOutput:
        """By the model's own ``generate``; offsets of an answer of others are put back."""
        inner = self.model.model
        kept = inner.rope_deltas
        try:
            return super().generated_ids(query, options)
        finally:
            inner.rope_deltas = kept


class Qwen25VLBackbone(Qwen2VLBackbone):
    """``Qwen2_5_VLForConditionalGeneration`` of transformers."""

    family = "qwen2_5_vl"


class Qwen3VLBackbone(Qwen2VLBackbone):
    """``Qwen3VLForConditionalGeneration``: the first layers are given features of their own.

    A picture's features are those of its image tokens and, beside them, those of the first layers.
    """

    family = "qwen3_vl"

    @property
    def deep(self) -> int:
        """How many of the first decoder layers are given features."""
        return len(self.model.config.vision_config.deepstack_visual_indexes)

    def check_edit_layer(self) -> None:
        """Refuse an edit layer that is given features, too: states there are not yet whole.

        Raises:
            ValueError: It is.
        """
        super().check_edit_layer()
        if self.edit_layer < self.deep:
            raise ValueError(
                f"the first {self.deep} layers of {self.family} take in pictures; give an edit "
                f"layer of {self.deep} to {self.layers - 1}"
            )

    def features_of(self, output: ModelOutput) -> Float[Tensor, "tokens width"]:
        """Image tokens and the first layers' features, side by side."""
        return torch.cat(
            [flat(output.pooler_output), *(flat(layer) for layer in output.deepstack_features)], 1
        )

    def pack(self, features: list[Tensor]) -> ModelOutput | None:
        """Image tokens, and features layer by layer."""
        if not features:
            return None
        parts = [picture.chunk(1 + self.deep, dim=1) for picture in features]
        tokens, *layers = (list(part) for part in zip(*parts, strict=True))
        return BaseModelOutputWithDeepstackFeatures(pooler_output=tokens, deepstack_features=layers)
