"""The words the tower's slots can say: names of things, shapes in a colour, colours of grounds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from liveedit.data.emoji_edit.concepts import all_concepts
from liveedit.data.emoji_edit.scene import GROUND_COLOURS

SHAPES = ("circle", "rectangle", "triangle")
SHAPE_COLOURS = ("black", "gray", "red", "blue", "green", "yellow", "teal", "brown")
NOTHING = "nothing"
ENTRIES: tuple[str, ...] = (
    *(concept.name for concept in all_concepts()),
    *(f"{colour} {shape}" for colour, shape in product(SHAPE_COLOURS, SHAPES)),
    NOTHING,
)
COLOURS: tuple[str, ...] = tuple(GROUND_COLOURS)
WORDS = 5  # tokens of an entry; shorter names are filled up with line breaks


def thing_words(
    tokenizer: PreTrainedTokenizerBase, embeddings: Float[Tensor, "vocabulary width"]
) -> Float[Tensor, "entries words width"]:
    """Input embeddings of the entries' tokens."""
    return words_of(ENTRIES, tokenizer, embeddings)


def words_of(
    names: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    embeddings: Float[Tensor, "vocabulary width"],
) -> Float[Tensor, "names words width"]:
    """Input embeddings of names' tokens, filled up or cut."""
    (filler,) = tokenizer.encode("\n")
    rows = [tokenizer.encode(f" {name}") for name in names]
    return torch.stack([embeddings[(row + [filler] * WORDS)[:WORDS]] for row in rows])


def colour_words(
    tokenizer: PreTrainedTokenizerBase, embeddings: Float[Tensor, "vocabulary width"]
) -> Float[Tensor, "colours width"]:
    """Input embeddings of the ground's colours, the first token of each."""
    return torch.stack([embeddings[tokenizer.encode(f" {name}")[0]] for name in COLOURS])
