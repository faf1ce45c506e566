"""What the pocket VLM's tower says about a photograph: the names of ImageNet's likeliest classes.

EfficientNet-Lite2 was published with its classifier. Where a picture is a photograph and no
drawing, the first thing's image tokens are the words of the classes, by their probability, next to
one token for the features themselves, in the directions that the classifier tells classes apart by.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedTokenizerBase

from liveedit.pocket.codebook import WORDS, words_of
from liveedit.pocket.efficientnet import fold_published_weights

_CLASSES_FILE = "imagenet_classes.txt"
_SHARPNESS = 3.0  # of the classes' probabilities: blended names are read badly


class Affine(nn.Module):
    """A linear layer that is zero until its weights are given: nothing in it is ever drawn."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    @property
    def outputs(self) -> int:
        """Width of what it gives."""
        return len(self.bias)

    def forward(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """``inputs weight^T + bias``."""
        return F.linear(inputs, self.weight, self.bias)


class Photographs(nn.Module):
    """From the feature map to what a photograph shows.

    Args:
        narrow: Channels of a cell before EfficientNet's head.
        channels: Channels of a cell after it.
        classes: Classes of the published classifier.
        embedding: Dimension of a thing's projection, that of the slots.
        words: Tokens of a class's name.
        width: Width of the language model's embeddings.
    """

    class_words: Tensor

    def __init__(
        self, *, narrow: int, channels: int, classes: int, embedding: int, words: int, width: int
    ) -> None:
        super().__init__()
        self.head = Affine(narrow, channels)
        self.classify = Affine(channels, classes)
        self.gate = nn.Parameter(torch.zeros(channels))  # until it is fitted nothing passes
        self.threshold = nn.Parameter(torch.zeros(()))
        self.project = Affine(channels, embedding)
        self.register_buffer("class_words", torch.zeros(classes, words, width))

    def pooled(self, cells: Float[Tensor, "batch cells narrow"]) -> Float[Tensor, "batch channels"]:
        """Mean feature of a picture, as the published classifier reads it."""
        return F.relu6(self.head(cells)).mean(1)

    def forward(
        self, pooled: Float[Tensor, "batch channels"]
    ) -> tuple[Float[Tensor, "batch embedding"], Float[Tensor, "batch words width"]]:
        """Projection and words of what photographs show, from their mean features."""
        likely = (_SHARPNESS * self.classify(pooled)).softmax(-1)
        words = torch.einsum("bc,cwd->bwd", likely, self.class_words)
        return self.project(pooled), words

    def are_photographs(self, pooled: Float[Tensor, "batch channels"]) -> Bool[Tensor, " batch"]:
        """Which pictures are photographs."""
        return pooled @ self.gate > self.threshold


@cache
def imagenet_classes() -> dict[str, tuple[str, ...]]:
    """Names of ImageNet's 1,000 classes, in the classifier's order, by WordNet's number of each."""
    text = files("liveedit.pocket").joinpath(_CLASSES_FILE).read_text(encoding="utf-8")
    lines = (line.split(" ", 1) for line in text.splitlines())
    return {number: tuple(names.split(", ")) for number, names in lines}


def class_words(
    tokenizer: PreTrainedTokenizerBase, embeddings: Float[Tensor, "vocabulary width"]
) -> Float[Tensor, "classes words width"]:
    """Input embeddings of the classes' names: of each the first that has few enough tokens."""

    def spoken(names: tuple[str, ...]) -> str:
        short = [n for n in names if len(tokenizer.encode(f" {n}")) <= WORDS]
        return (short or list(names))[0]

    names = [spoken(names) for names in imagenet_classes().values()]
    return words_of(names, tokenizer, embeddings)


def published_classifier(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State of :class:`Photographs` that the published weights hold: head and classifier."""
    folded = fold_published_weights(published)
    return {
        "head.weight": folded["head.weight"][:, :, 0, 0],
        "head.bias": folded["head.bias"],
        "classify.weight": published["_fc.weight"],
        "classify.bias": published["_fc.bias"],
    }
