"""The counterfactual model: a small network that points, place by place, at the answer's tokens.

It reads the correction's question, its target, and what is asked, as tokens of the backbone, whose
input embeddings it uses frozen. For each place of the answer it gives a distribution over the
target's tokens. So it says what was corrected in any tokens of the backbone's, also in those it has
never met, and is trained in a minute; what merely follows from a correction it cannot say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from liveedit.backbones.query import padded
from liveedit.methods.shared.training.sinusoids import sinusoids

PROMPT, TARGET, QUESTION = range(3)
_IMPOSSIBLE = -1e4  # logit of a token that it cannot say


@dataclass(frozen=True, kw_only=True)
class Read:
    """Corrections and what is asked, as tokens side by side.

    Args:
        ids: Of the correction's question, its target with the end, and the question.
        segment: :data:`PROMPT`, :data:`TARGET` or :data:`QUESTION`.
        place: Within the segment.
        real: Which are no padding.
    """

    ids: Int[Tensor, "batch length"]
    segment: Int[Tensor, "batch length"]
    place: Int[Tensor, "batch length"]
    real: Bool[Tensor, "batch length"]

    def to(self, device: torch.device) -> Read:
        """The same on another device."""
        return Read(**{name: tensor.to(device) for name, tensor in vars(self).items()})

    @staticmethod
    def of(rows: Sequence[tuple[Sequence[int], Sequence[int], Sequence[int]]]) -> Read:
        """Rows of three segments."""
        joined = [[token for part in row for token in part] for row in rows]
        segments = [[kind for kind, part in enumerate(row) for _ in part] for row in rows]
        places = [[at for part in row for at in range(len(part))] for row in rows]
        ids, mask = padded(joined, value=0, side="right")
        return Read(
            ids=ids,
            segment=padded(segments, value=0, side="right")[0],
            place=padded(places, value=0, side="right")[0],
            real=mask.bool(),
        )


@dataclass(frozen=True, kw_only=True)
class Pointed:
    """Answers.

    Args:
        weights: Logarithm of the probability of each of the target's tokens, place by place.
        ids: The tokens; some may be the same.
    """

    weights: Float[Tensor, "batch places length"]
    ids: Int[Tensor, "batch length"]

    def logits(
        self, row: int, places: Int[Tensor, " places"], vocabulary: int
    ) -> Float[Tensor, "places vocabulary"]:
        """Logits of the whole vocabulary; behind the last place it is said again."""
        weights = self.weights[row, places.clamp(max=self.weights.shape[1] - 1)].exp()
        found = weights.new_zeros(len(places), vocabulary)
        found.scatter_add_(1, self.ids[row].expand(len(places), -1), weights)
        return found.log().clamp(min=_IMPOSSIBLE)


class Counterfactual(nn.Module):
    """The network.

    Args:
        embeddings: Width of the backbone's input embeddings.
        width: Of its own states.
        layers: How many.
        heads: Of attention.
    """

    def __init__(self, embeddings: int, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.enter = nn.Linear(embeddings, width)
        self.segments = nn.Embedding(3, width)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.ask = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        self.point = nn.Linear(width, width)
        self.sharpness = nn.Parameter(torch.zeros(()))
        self.width = width

    def forward(
        self, read: Read, embedded: Float[Tensor, "batch length embeddings"], places: int
    ) -> Pointed:
        """Distributions for so many places of the answer.

        Args:
            read: Corrections and questions.
            embedded: The backbone's input embeddings of the tokens.
            places: How many.
        """
        where = sinusoids(read.place, self.width)
        embedded = F.layer_norm(embedded, embedded.shape[-1:])
        states = self.enter(embedded) + self.segments(read.segment) + where
        states = self.encoder(states, src_key_padding_mask=~read.real)
        target = read.real & (read.segment == TARGET)
        slots = sinusoids(torch.arange(places, device=read.ids.device), self.width)
        scores = self.ask(slots) @ self.point(states + where).transpose(1, 2)
        scores = scores * self.sharpness.exp() / math.sqrt(self.width)
        scores = scores.masked_fill(~target[:, None], -torch.inf)
        return Pointed(weights=scores.log_softmax(-1), ids=read.ids)


def pointing_loss(
    pointed: Pointed, wanted: Int[Tensor, "batch places"], real: Bool[Tensor, "batch places"]
) -> Float[Tensor, ""]:
    """Cross-entropy of the wanted tokens, wherever in the target they stand."""
    same = pointed.ids[:, None] == wanted[..., None]
    weights = pointed.weights.masked_fill(~same, _IMPOSSIBLE)
    return -weights.logsumexp(-1)[real].mean()
