"""What the pocket VLM's tower says about a picture: a few image tokens for each thing it sees.

Every cell of the feature map is assigned to the ground or to the first, second or third thing from
the left (as in slot attention, Locatello et al., arXiv 2006.15055, but supervised). The cells of a
thing are averaged, projected, and compared with the entries of a codebook, each a mixture of two
Gaussians, one for either artist's hand (after probabilistic linear discriminant analysis, Ioffe,
ECCV 2006). The words of the entries, by their probability, become image tokens that the language
model can read, next to one token for the projection itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

THINGS = 3
_EMPTY_MASS = 0.3  # cells; an empty vector of this weight is part of every mean
_LEAST_MASS = 2.0  # cells; with fewer a thing counts as absent
_DEPTH, _HEADS = 2, 4


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the slots of a batch of pictures hold; slot 0 is the ground.

    Args:
        assignment: Logits of the slot each cell belongs to.
        pooled: Mean of each slot's cells, normalised.
        embeddings: Projections of the things.
        things: Log-likelihood of each entry of the codebook, for each thing.
        present: Probability that the thing is there.
        ground: Logits over the colours of the ground.
    """

    assignment: Float[Tensor, "batch cells slots"]
    pooled: Float[Tensor, "batch slots channels"]
    embeddings: Float[Tensor, "batch things embedding"]
    things: Float[Tensor, "batch things entries"]
    present: Float[Tensor, "batch things"]
    ground: Float[Tensor, "batch colours"]


class Slots(nn.Module):
    """From the feature map to image tokens.

    Args:
        narrow: Channels of a cell before the tower's head.
        channels: Channels of a cell after it.
        cells: Cells of the feature map.
        context: Width of the encoder that assigns the cells.
        embedding: Dimension of a thing's projection.
        entries: Entries of the codebook; the last one says that there is nothing.
        colours: Colours of the ground.
        words: Tokens of an entry.
        width: Width of the language model's embeddings.
    """

    thing_words: Tensor
    colour_words: Tensor

    def __init__(
        self,
        *,
        narrow: int,
        channels: int,
        cells: int,
        context: int,
        embedding: int,
        entries: int,
        colours: int,
        words: int,
        width: int,
    ) -> None:
        super().__init__()
        self.enter = nn.Linear(narrow, context)
        self.position = nn.Parameter(torch.randn(cells, context) * 0.02)
        layer = nn.TransformerEncoderLayer(
            context, _HEADS, 4 * context, 0.1, F.gelu, batch_first=True, norm_first=True
        )
        self.context = nn.TransformerEncoder(layer, _DEPTH, enable_nested_tensor=False)
        self.assign = nn.Linear(context, 1 + THINGS)
        self.empty = nn.Parameter(torch.zeros(channels))
        self.project = nn.Linear(channels, embedding)
        self.means = nn.Parameter(torch.zeros(2, entries - 1, embedding))
        self.variances = nn.Parameter(torch.ones(2, entries - 1, embedding))
        self.colour = nn.Linear(channels, colours)
        self.open = nn.Linear(embedding, width)
        self.register_buffer("thing_words", torch.zeros(entries, words, width))
        self.register_buffer("colour_words", torch.zeros(colours, width))

    def forward(
        self,
        narrow: Float[Tensor, "batch cells narrow"],
        wide: Float[Tensor, "batch cells channels"],
    ) -> Seen:
        """Look at a feature map, before and after the tower's head."""
        hidden = self.enter(F.layer_norm(narrow, narrow.shape[-1:])) + self.position
        assignment = self.assign(self.context(hidden))
        share = assignment.softmax(-1)
        mass = share.sum(1)
        pooled = share.transpose(1, 2) @ wide + _EMPTY_MASS * self.empty
        pooled = pooled / (mass[..., None] + _EMPTY_MASS)
        pooled = F.layer_norm(pooled, pooled.shape[-1:])
        embeddings = self.project(pooled[:, 1:])
        return Seen(
            assignment=assignment,
            pooled=pooled,
            embeddings=embeddings,
            things=log_likelihood(embeddings, self.means, self.variances),
            present=torch.sigmoid(4 * (mass[:, 1:] - _LEAST_MASS)),
            ground=self.colour(pooled[:, 0]),
        )

    def tokens(self, seen: Seen) -> Float[Tensor, "batch tokens width"]:
        """Image tokens: the ground's colour, then for each thing its projection and its words."""
        present = seen.present[..., None]
        entries = torch.cat([present * seen.things.softmax(-1), 1 - present], -1)
        words = torch.einsum("bte,ewd->btwd", entries, self.thing_words)
        opened = present * self.open(F.normalize(seen.embeddings, dim=-1))
        return self._arranged(seen.ground, opened, words)

    def tokens_of_one(
        self,
        ground: Float[Tensor, "batch colours"],
        embeddings: Float[Tensor, "batch embedding"],
        words: Float[Tensor, "batch words width"],
    ) -> Float[Tensor, "batch tokens width"]:
        """Image tokens of pictures of one thing that was recognised otherwise.

        Args:
            ground: Logits over the colours of the ground.
            embeddings: Projections of the things.
            words: Words that say what they are.
        """
        nothing = self.thing_words[-1].expand(len(words), THINGS - 1, -1, -1)
        opened = F.pad(self.open(F.normalize(embeddings, dim=-1))[:, None], (0, 0, 0, THINGS - 1))
        return self._arranged(ground, opened, torch.cat([words[:, None], nothing], 1))

    def _arranged(
        self,
        ground: Float[Tensor, "batch colours"],
        opened: Float[Tensor, "batch things width"],
        words: Float[Tensor, "batch things words width"],
    ) -> Float[Tensor, "batch tokens width"]:
        things = torch.cat([opened[:, :, None], words], 2)
        colour = ground.softmax(-1) @ self.colour_words
        return torch.cat([colour[:, None], things.flatten(1, 2)], 1)

    @staticmethod
    def token_count(words: int) -> int:
        """Image tokens for one picture."""
        return 1 + THINGS * (1 + words)


def log_likelihood(
    points: Float[Tensor, "batch things embedding"],
    means: Float[Tensor, "hands entries embedding"],
    variances: Float[Tensor, "hands entries embedding"],
) -> Float[Tensor, "batch things entries"]:
    """Logarithm of each entry's mixture of diagonal Gaussians, without the constant.

    In float32 even under autocast: small differences of large sums decide.
    """
    with torch.autocast(points.device.type, enabled=False):
        points, precision = points.float()[:, None], 1 / variances.float()
        squares = points**2 @ precision.mT - 2 * points @ (means * precision).mT
        constant = (means**2 * precision - precision.log()).sum(-1)
        return torch.logsumexp(-0.5 * (squares + constant[:, None]), 1)
