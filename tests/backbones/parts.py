"""Sizes and pieces of the tiny models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerFast,
    ProcessorMixin,
)

from tests.backbones.tokenizers import tokenizer

LAYERS, EDIT_LAYER = 5, 3

TEXT_SIZES = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": False,
}
VISION_SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}
EDGE, SQUARE = {"shortest_edge": 28}, {"height": 28, "width": 28}
GRID = [[28, 56], [56, 28], [56, 56]]


@dataclass(frozen=True)
class Family:
    """How to build a tiny model of a family, and what its own processor makes of a question.

    Args:
        name: Of the family.
        build: Makes model and processor.
        prompt: The question as this family's own users pass it to the processor; by default its
            chat template says.
    """

    name: str
    build: Callable[[], tuple[PreTrainedModel, ProcessorMixin]]
    prompt: str | None = None


def text_settings(config: type, tok: PreTrainedTokenizerFast, **more: object):
    ids = {name: getattr(tok, name) for name in ("pad_token_id", "bos_token_id", "eos_token_id")}
    return config(vocab_size=len(tok), **(TEXT_SIZES | ids | more))


def llama_tokenizer() -> PreTrainedTokenizerFast:
    special = ["<unk>", "<s>", "</s>", "<image>", "<pad>"]
    return tokenizer(special, eos="</s>", pad="<pad>", bos="<s>", starts=True)
