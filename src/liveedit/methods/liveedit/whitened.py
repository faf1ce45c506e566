"""f_fe without training: the model's own states, pooled, centred and whitened.

Nothing here is learned by gradient: :mod:`liveedit.training.whitening` finds centres and directions
in closed form, from the states of some hundred questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from liveedit.methods.liveedit.features import RoutingFeatures
from liveedit.methods.liveedit.representation import Representation

PICTURE_PARTS, QUESTION_PARTS = 3, 2  # pooled states that stand side by side


@dataclass(frozen=True, kw_only=True)
class PooledStates:
    """What a batch of queries is told by, before it is whitened.

    Args:
        picture: Mean, largest and smallest states of the vision tokens, channel by channel; zero
            without a picture.
        question: The last state of the prompt, and the mean of all.
        sees: Whether the row has a picture at all.
        length: Tokens of the prompt.
    """

    picture: Float[Tensor, "batch picture"]
    question: Float[Tensor, "batch question"]
    sees: Bool[Tensor, " batch"]
    length: Int[Tensor, " batch"]

    @staticmethod
    def of(representation: Representation) -> PooledStates:
        """Pool the standardised states of a batch."""
        states, spans = representation.states, representation.spans
        sees = spans.vision.any(1)
        outside = ~spans.vision[..., None]
        picture = torch.cat(
            [
                _mean(states, spans.vision),
                states.masked_fill(outside, -torch.inf).amax(1),
                states.masked_fill(outside, torch.inf).amin(1),
            ],
            1,
        )
        last = spans.prompt.long().cumsum(1).argmax(1)  # of equal ones the first: the last token
        rows = torch.arange(len(states), device=states.device)
        return PooledStates(
            picture=torch.where(sees[:, None], picture, 0.0),
            question=torch.cat([states[rows, last], _mean(states, spans.prompt)], 1),
            sees=sees,
            length=spans.prompt.sum(1),
        )

    @staticmethod
    def join(parts: Sequence[PooledStates]) -> PooledStates:
        """One batch after the other."""
        return PooledStates(
            picture=torch.cat([part.picture for part in parts]),
            question=torch.cat([part.question for part in parts]),
            sees=torch.cat([part.sees for part in parts]),
            length=torch.cat([part.length for part in parts]),
        )

    def take(self, rows: Int[Tensor, " some"]) -> PooledStates:
        """Some rows, in this order."""
        return PooledStates(
            picture=self.picture[rows],
            question=self.question[rows],
            sees=self.sees[rows],
            length=self.length[rows],
        )


class Whitening(nn.Module):
    """Vectors relative to a centre, along directions that tell them apart; of unit length.

    Args:
        inputs: Width of what is whitened.
        outputs: Number of directions.
    """

    centre: Tensor
    directions: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(inputs))
        self.register_buffer("directions", torch.zeros(inputs, outputs))

    def forward(self, vectors: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch outputs"]:
        """Whiten; a dot product of two results is their cosine."""
        return F.normalize((vectors - self.centre) @ self.directions, dim=-1)

    def set(
        self, centre: Float[Tensor, " inputs"], directions: Float[Tensor, "inputs some"]
    ) -> None:
        """Keep what was found; where there are fewer directions than room, the rest is zero."""
        self.centre.copy_(centre)
        self.directions.zero_()
        self.directions[:, : directions.shape[1]] = directions


class WhitenedStates(nn.Module):
    """f_fe of a calibrated editor, in place of a trained feature extractor.

    The vision feature is what the picture's tokens tell, the prompt feature what those of the
    question do. There is no vision sentinel: what it would be compared with is zero, and the
    router's margin is the threshold.

    Args:
        state_width: Width of the backbone's states.
        width: Width of a feature.
    """

    def __init__(self, *, state_width: int, width: int) -> None:
        super().__init__()
        self.picture = Whitening(PICTURE_PARTS * state_width, width)
        self.question = Whitening(QUESTION_PARTS * state_width, width)

    def forward(self, representation: Representation) -> RoutingFeatures:
        """Extract the features of a batch."""
        return self.features(PooledStates.of(representation))

    def features(self, pooled: PooledStates) -> RoutingFeatures:
        """Features of states that are pooled already."""
        vision = torch.where(pooled.sees[:, None], self.picture(pooled.picture), 0.0)
        return RoutingFeatures(
            vision=vision,
            prompt=self.question(pooled.question),
            sentinel=torch.zeros_like(vision),
            sees=pooled.sees,
            length=pooled.length,
        )


def _mean(
    states: Float[Tensor, "batch length width"], span: Bool[Tensor, "batch length"]
) -> Float[Tensor, "batch width"]:
    """Mean state of a span; zero where it is empty."""
    weights = span.to(states.dtype) / span.sum(1, keepdim=True).clamp(min=1)
    return torch.einsum("bl,blw->bw", weights, states)
