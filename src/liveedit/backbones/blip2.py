"""BLIP-2 and MiniGPT-4: a Q-Former's query tokens stand for a picture, in front of the prompt."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import torch
from jaxtyping import Int
from PIL import Image
from torch import Tensor
from transformers.models.blip_2.modeling_blip_2 import BaseModelOutputWithVisionQformerOutputs
from transformers.utils import ModelOutput

from liveedit.backbones.query import History, Query
from liveedit.backbones.tiles import TiledBackbone
from liveedit.errors import BadConversation


class Blip2Backbone(TiledBackbone):
    """``Blip2ForConditionalGeneration`` with a language model that only decodes, such as OPT.

    There is no chat format: a prompt is the query tokens, the start of the sequence, and the
    question as BLIP-2's authors ask it.
    """

    family = "blip-2"
    prompt_format: ClassVar[str] = "Question: {} Answer:"

    @property
    def decoder(self) -> Any:
        """The decoder inside the language model."""
        text = self.model.language_model.model
        return getattr(text, "decoder", text)

    @property
    def tile(self) -> int:
        """Query tokens of a picture."""
        return self.model.config.num_query_tokens

    @cached_property
    def frame(self) -> tuple[str, str]:
        """A blank stands before an answer, and the end of the sequence ends it."""
        return " ", self.tokenizer.eos_token

    def conversation_text(self, history: History, question: str, *, images: int) -> str:
        """The model was trained on single questions."""
        if history:
            raise BadConversation(f"{self.name} knows no conversations; ask a single question")
        return self.prompt_text(question, images=images)

    def prompt_text(self, question: str, *, images: int) -> str:
        """Pictures, start of the sequence, question: as the processor has it."""
        asked = self.prompt_format.format(self.checked(question))
        return f"{self.marker * images}{self.tokenizer.bos_token}{asked}"

    def encode(self, prompt: str) -> list[int]:
        """Token ids of a prompt, which says itself where the sequence starts."""
        return self.tokenizer.encode(prompt, add_special_tokens=False)

    def read_images(
        self, images: list[Image.Image], *, together: bool = False
    ) -> tuple[Mapping[str, Any], list[str]]:
        """Pixels, and as many placeholders as there are query tokens."""
        seen = self.processor.image_processor(images, return_tensors="pt")
        return seen, [self.marker * self.tile] * len(images)

    def pack(self, features: list[Tensor]) -> ModelOutput | None:
        """Query tokens; an empty output without pictures, or the model would look for pixels."""
        nothing = torch.empty(0, self.width, device=self.device, dtype=self.dtype)
        tokens = torch.cat(features) if features else nothing
        return BaseModelOutputWithVisionQformerOutputs(
            pooler_output=tokens.reshape(-1, self.tile, self.width)
        )

    def forward(self, query: Query, **options: Any) -> ModelOutput:
        """The model's own ``forward``, which insists on being told of pixels."""
        return super().forward(query, pixel_values=None, **options)

    def generated_ids(
        self, query: Query, options: Mapping[str, Any]
    ) -> Int[Tensor, "sequences length"] | ModelOutput:
        """Prompt and answer, by the language model's ``generate``: BLIP-2's own wants pixels."""
        embeddings = self.model.get_input_embeddings()(query.input_ids)
        if query.features:
            tokens = torch.cat(query.features).to(embeddings.device, embeddings.dtype)
            at = (query.input_ids == self.image_token_id)[..., None]
            embeddings = embeddings.masked_scatter(at, tokens)
        return self.model.language_model.generate(
            input_ids=query.input_ids,
            inputs_embeds=embeddings,
            attention_mask=query.attention_mask,
            **options,
        )
