"""What queries and edits are compared by: features of either side, and how far they are alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from liveedit.correction.images import Pictures, pictures_identity


@dataclass(frozen=True)
class QueryInputs:
    """What the rows of a batch show and ask, got only when it is looked at.

    Args:
        get_picture: Gives the picture of a number.
        rows: The number of each row.
        get_question: Gives the words of its question, where they are at hand.
        identity: Gives its picture's identity, where the picture at hand is but a small copy.
    """

    get_picture: Callable[[int], Pictures]
    rows: Sequence[int]
    get_question: Callable[[int], str | None] | None = None
    identity: Callable[[int], str | None] | None = None

    def picture(self, row: int) -> Pictures:
        """The picture, or pictures, of a row."""
        return self.get_picture(self.rows[row])

    def question(self, row: int) -> str | None:
        """The words of a row's question."""
        return None if self.get_question is None else self.get_question(self.rows[row])

    def take(self, rows: Sequence[int]) -> QueryInputs:
        """Those of some rows."""
        return replace(self, rows=[self.rows[row] for row in rows])

    def identity_of(self, row: int) -> str | None:
        """Identity of the picture, or pictures, of a row."""
        if self.identity is not None:
            return self.identity(self.rows[row])
        return pictures_identity(self.picture(row))


@dataclass(frozen=True, kw_only=True)
class EditFeatures:
    """Features of a batch on the edit side; k vectors each, flattened.

    Args:
        vision: Prompt-guided vision feature phi; without a picture the subject feature, or zero if
            there is none.
        prompt: Prompt feature psi.
        sees: Whether the row has a picture at all.
    """

    vision: Float[Tensor, "batch features"]
    prompt: Float[Tensor, "batch features"]
    sees: Bool[Tensor, " batch"]


@dataclass(frozen=True, kw_only=True)
class RoutingFeatures(EditFeatures):
    """The same on the input side.

    Args:
        sentinel: What phi would be if the picture were the vision sentinel; zero without a picture.
        length: Tokens of the prompt behind its picture; None for short ones.
        inputs: Gives what the rows show and ask, where it is at hand.
    """

    sentinel: Float[Tensor, "batch features"]
    length: Int[Tensor, " batch"] | None = None
    inputs: QueryInputs | None = None

    def map(self, change: Callable[[Tensor], Tensor]) -> RoutingFeatures:
        """The same done to each tensor."""
        return RoutingFeatures(
            vision=change(self.vision),
            prompt=change(self.prompt),
            sentinel=change(self.sentinel),
            sees=change(self.sees),
            length=None if self.length is None else change(self.length),
        )

    def take(self, rows: Int[Tensor, " some"]) -> RoutingFeatures:
        """Some rows of the batch, in this order."""
        inputs = None if self.inputs is None else self.inputs.take(rows.tolist())
        return replace(self.map(lambda part: part[rows]), inputs=inputs)

    def rows(self, which: slice) -> RoutingFeatures:
        """Some rows of the batch."""
        return self.map(lambda part: part[which])

    @staticmethod
    def join(parts: Sequence[RoutingFeatures]) -> RoutingFeatures:
        """One batch after the other."""
        lengths = [part.length for part in parts if part.length is not None]
        return RoutingFeatures(
            vision=torch.cat([part.vision for part in parts]),
            prompt=torch.cat([part.prompt for part in parts]),
            sentinel=torch.cat([part.sentinel for part in parts]),
            sees=torch.cat([part.sees for part in parts]),
            length=torch.cat(lengths) if len(lengths) == len(parts) else None,
        )


@dataclass(frozen=True, kw_only=True)
class Similarities:
    """How far queries and edits are alike.

    Args:
        vision: Of what the pictures show; for queries without a picture of what they are about.
        sentinel: Of the query's picture and the vision sentinel; zero without a picture.
        prompt: Of the questions: the argument of the sigmoid. For queries without a picture it is
            on the text router's own scale.
        pictured: Whether the query has a picture.
        sees: Whether both have a picture.
        alike: Whether both have one, or neither has.
        gain: How many times as strongly experts are added for the query; None for once.
    """

    vision: Float[Tensor, "batch experts"]
    sentinel: Float[Tensor, "batch 1"]
    prompt: Float[Tensor, "batch experts"]
    pictured: Bool[Tensor, "batch 1"]
    sees: Bool[Tensor, "batch experts"]
    alike: Bool[Tensor, "batch experts"]
    gain: Float[Tensor, "batch 1"] | None = None

    @staticmethod
    def join(parts: Sequence[Similarities]) -> Similarities:
        """The same queries compared with some edits, and with others."""
        return Similarities(
            vision=torch.cat([part.vision for part in parts], 1),
            sentinel=parts[0].sentinel,
            prompt=torch.cat([part.prompt for part in parts], 1),
            pictured=parts[0].pictured,
            sees=torch.cat([part.sees for part in parts], 1),
            alike=torch.cat([part.alike for part in parts], 1),
            gain=parts[0].gain,
        )
