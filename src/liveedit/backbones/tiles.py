"""Families that cut pictures into tiles of a fixed number of image tokens each."""

from __future__ import annotations

from liveedit.backbones.base import Backbone, TiledBackbone


class InternVLBackbone(TiledBackbone):
    """``InternVLForConditionalGeneration`` of transformers (its own class, the ``-hf`` models)."""

    family = "internvl"


class Idefics3Backbone(Backbone):
    """``Idefics3ForConditionalGeneration`` of transformers."""

    family = "idefics3"


class SmolVLMBackbone(Idefics3Backbone):
    """``SmolVLMForConditionalGeneration`` of transformers."""

    family = "smolvlm"
