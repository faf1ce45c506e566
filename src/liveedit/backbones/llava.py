"""LLaVA, LLaVA-NeXT and LLaVA-OneVision, and the pocket VLM, which is a LLaVA."""

from __future__ import annotations

from PIL import Image

from liveedit.backbones.base import Backbone
from liveedit.backbones.query import Picture


class LlavaBackbone(Backbone):
    """``LlavaForConditionalGeneration`` of transformers."""

    family = "llava"


class LlavaNextBackbone(Backbone):
    """``LlavaNextForConditionalGeneration``: a picture is tiles, whose rows end in a token."""

    family = "llava_next"


class LlavaOnevisionBackbone(Backbone):
    """``LlavaOnevisionForConditionalGeneration``: a picture is cut into tiles if it is alone."""

    family = "llava_onevision"
    depends_on_image_count = True

    def grouped(
        self, images: list[Image.Image], *, together: bool
    ) -> list[Image.Image] | list[list[Image.Image]]:
        """One list for each prompt."""
        return [images] if together else [[image] for image in images]

    def encode_images(self, images: list[Image.Image], *, together: bool = False) -> list[Picture]:
        """Pictures as the language model reads them."""
        if together and len(images) == 1:  # a second one, of which nothing is kept
            return super().encode_images(images * 2, together=True)[:1]
        return super().encode_images(images, together=together)
