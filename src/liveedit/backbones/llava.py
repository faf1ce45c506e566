"""LLaVA, and the pocket VLM, which is one."""

from __future__ import annotations

from liveedit.backbones.base import Backbone


class LlavaBackbone(Backbone):
    """``LlavaForConditionalGeneration`` of transformers."""

    family = "llava"
