"""A tokenised batch, and a picture as a model reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils import ModelOutput

from liveedit.backbones.spans import Spans
from liveedit.correction.images import Pictures, as_sequence

PaddingSide = Literal["left", "right"]
History: TypeAlias = Sequence[Mapping[str, Any]]
Pack = Callable[[list[Tensor]], ModelOutput | None]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture as a model reads it.

    Args:
        text: What the processor writes into the prompt for it: its image tokens, and what the
            family puts around and between them.
        features: What the model puts at its image tokens.
        inputs: What else the model is given of it, by name.
    """

    text: str
    features: Float[Tensor, "tokens width"] = field(repr=False)
    inputs: Mapping[str, Tensor] = field(default_factory=dict)


def as_list(features: list[Tensor]) -> ModelOutput | None:
    """The vision encoder's output for models that take one tensor for each picture."""
    return BaseModelOutputWithPooling(pooler_output=features) if features else None


@dataclass(frozen=True, kw_only=True)
class Questions:
    """A batch of questions before it is tokenised.

    Args:
        pictures: Those of each question: one, several or None.
        prompts: What is asked.
        targets: What is answered, for teacher forcing.
        histories: What precedes each question in its conversation, as chat templates take it, with
            a place for each picture that is shown there; None for none.
    """

    pictures: Sequence[Pictures] = field(repr=False)
    prompts: Sequence[str]
    targets: Sequence[str] | None = None
    histories: Sequence[History] | None = None

    @property
    def alone(self) -> Questions:
        """The questions and all pictures they can mean, without what precedes them."""
        return Questions(pictures=self.pictures, prompts=self.prompts)

    @property
    def sees(self) -> list[bool]:
        """Which have a picture."""
        return [bool(as_sequence(one)) for one in self.pictures]


@dataclass(frozen=True, kw_only=True)
class Query:
    """A tokenised batch of questions, each with any number of pictures, and maybe a target.

    Args:
        input_ids: Padded ids, one placeholder for every image token.
        attention_mask: One where a token is; longer than the ids where a cache holds what precedes.
        position_ids: As ``forward`` takes them, counted from each row's first real token; several
            axes where the family has them.
        spans: Where image, prompt and target are.
        features: Image tokens of all pictures, row by row.
        inputs: What else ``forward`` and ``generate`` are given, by name.
        per_token: What else the layers above the edit layer read of every token, by name; each
            (batch, length, ...). See :meth:`liveedit.backbones.base.Backbone.finish`.
        pack: Makes the vision encoder's output of the features; None if it is not to be passed.
    """

    input_ids: Int[Tensor, "batch length"]
    attention_mask: Int[Tensor, "batch _seen"]
    position_ids: Int[Tensor, "*axes batch length"]
    spans: Spans
    features: list[Float[Tensor, "_tokens width"]] = field(repr=False)
    inputs: Mapping[str, Tensor] = field(default_factory=dict)
    per_token: Mapping[str, Tensor] = field(default_factory=dict)
    pack: Pack = as_list

    def model_inputs(self) -> dict[str, object]:
        """Keyword arguments for the model's ``forward`` and ``generate``."""
        inputs: dict[str, object] = {
            "input_ids": self.input_ids,
            "attention_mask": self.attention_mask,
            **self.inputs,
        }
        seen = self.pack(list(self.features))  # a new one each time: generate changes it in place
        if seen is not None:
            inputs["mm_encoder_outputs"] = {"image": seen}
        return inputs


def padded(
    rows: Sequence[Sequence[int]], *, value: int, side: PaddingSide = "left"
) -> tuple[Int[Tensor, "batch length"], Int[Tensor, "batch length"]]:
    """Rows of token ids as one tensor, and where tokens are."""
    length = max(map(len, rows))
    ids = torch.full((len(rows), length), value)
    mask = torch.zeros_like(ids)
    for row, own in enumerate(rows):
        at = slice(length - len(own), None) if side == "left" else slice(len(own))
        ids[row, at] = torch.tensor(own)
        mask[row, at] = 1
    return ids, mask


def counted(attention_mask: Int[Tensor, "batch length"]) -> Int[Tensor, "batch length"]:
    """Positions counted from each row's first real token."""
    return (attention_mask.cumsum(1) - 1).clamp(min=0)
