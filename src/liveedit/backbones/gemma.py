"""Gemma 3 and PaliGemma, whose image tokens (and prompts) see each other in both directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from liveedit.backbones.query import History, Picture
from liveedit.backbones.spans import Spans
from liveedit.backbones.tiles import TiledBackbone
from liveedit.errors import BadConversation


class Gemma3Backbone(TiledBackbone):
    """``Gemma3ForConditionalGeneration``: the image tokens of a picture see each other."""

    family = "gemma3"
    required_per_token = ("token_type_ids",)

    def inputs_beside(self, spans: Spans, pictures: Sequence[Picture]) -> dict[str, Tensor]:
        """One where an image token is."""
        return {"token_type_ids": spans.vision.long()}

    def decoder_inputs(
        self,
        hidden: Float[Tensor, "batch length width"],
        attention_mask: Int[Tensor, "batch length"],
        per_token: Mapping[str, Tensor],
    ) -> dict[str, Any]:
        """Masks, one for each kind of layer, and positions."""
        mask = attention_mask.to(hidden.device)
        positions = self.position_ids(mask, mask, {})
        masks = self.model.create_masks_for_generate(
            self.model.config,
            inputs_embeds=hidden,
            attention_mask=mask,
            past_key_values=None,
            position_ids=positions,
            token_type_ids=per_token["token_type_ids"].to(hidden.device),
        )
        return {"attention_mask": masks, "position_ids": positions}


class PaliGemmaBackbone(Gemma3Backbone):
    """``PaliGemmaForConditionalGeneration``: pictures and prompt see each other.

    There is no chat format: a prompt is the pictures, the question as the ``mix`` models were
    trained on it, and a line break.
    """

    family = "paligemma"
    looks_back = False
    prompt_format: ClassVar[str] = "answer en {}"

    @cached_property
    def frame(self) -> tuple[str, str]:
        """Nothing stands before an answer, and the end of the sequence ends it."""
        return "", self.tokenizer.eos_token

    def conversation_text(self, history: History, question: str, *, images: int) -> str:
        """The model was trained on single questions."""
        if history:
            raise BadConversation(f"{self.name} knows no conversations; ask a single question")
        return self.prompt_text(question, images=images)

    def prompt_text(self, question: str, *, images: int) -> str:
        """Pictures, start of the sequence, question, line break: as the processor has it."""
        asked = self.prompt_format.format(self.checked(question))
        return f"{self.marker * images}{self.tokenizer.bos_token}{asked}\n"

    def inputs_beside(self, spans: Spans, pictures: Sequence[Picture]) -> dict[str, Tensor]:
        """One where the answer is, whose tokens see only what precedes them."""
        return {"token_type_ids": spans.target.long()}

    def position_ids(
        self,
        input_ids: Int[Tensor, "batch length"],
        attention_mask: Int[Tensor, "batch length"],
        inputs: Mapping[str, Tensor],
    ) -> Int[Tensor, "batch length"]:
        """Positions count from 1."""
        return super().position_ids(input_ids, attention_mask, inputs) + 1
