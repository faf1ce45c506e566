"""Families that cut pictures into tiles of a fixed number of image tokens each."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils import ModelOutput

from liveedit.backbones.base import Backbone


class TiledBackbone(Backbone):
    """Families whose pictures are tiles with the same number of image tokens each."""

    @property
    def tile(self) -> int:
        """Image tokens of a tile."""
        return self.processor.image_seq_length

    def pack(self, features: list[Tensor]) -> ModelOutput | None:
        """One tensor (tiles, tokens, width) instead of a list."""
        if not features:
            return None
        tiles = torch.cat(features)
        tiles = tiles.reshape(-1, self.tile, tiles.shape[-1])
        return BaseModelOutputWithPooling(pooler_output=tiles)


class InternVLBackbone(TiledBackbone):
    """``InternVLForConditionalGeneration`` of transformers (its own class, the ``-hf`` models)."""

    family = "internvl"

    def grouped(
        self, images: list[Image.Image], *, together: bool
    ) -> list[Image.Image] | list[list[Image.Image]]:
        """Pictures whose rows its image processor cannot take for colours, being one or three."""
        return [
            one.resize((2 * one.width, 2 * one.height), Image.Resampling.NEAREST)
            if one.height in (1, 3)
            else one
            for one in images
        ]


class Idefics3Backbone(Backbone):
    """``Idefics3ForConditionalGeneration`` of transformers."""

    family = "idefics3"


class SmolVLMBackbone(Idefics3Backbone):
    """``SmolVLMForConditionalGeneration`` of transformers."""

    family = "smolvlm"
