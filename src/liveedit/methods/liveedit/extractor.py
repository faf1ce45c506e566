"""f_fe: routing features from hidden states, by learned queries that attend to them."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from liveedit.methods.liveedit.attention import NOWHERE, CrossAttention
from liveedit.methods.liveedit.features import RoutingFeatures
from liveedit.methods.liveedit.representation import Representation, cut


class FeatureExtractor(nn.Module):
    """f_fe: routing features from the states of picture and prompt.

    ``phi = CA_2(CA_1(phi_0, h_p), h_v)`` and ``psi = CA(psi_0, h_p)``, each with k learned queries;
    without a picture ``phi = CA(subject_0, h_p)``, by the same attention as psi.

    Args:
        state_width: Width of the backbone's states.
        width: d_m, width of the module.
        vectors: k, number of vectors a feature is made of.
        heads: Attention heads.
        sentinel_tokens: Number of states the vision sentinel consists of.
        dropout: Dropout on the states, in training only.
        prompt_guided: Whether the prompt guides the look at the picture; if not,
            ``phi = CA_2(phi_0, h_v)``.
        unit: Whether the k vectors have unit length; if not, they are layer-normalised.
        subject: Whether there is a feature of what a question without a picture is about.
    """

    def __init__(
        self,
        *,
        state_width: int,
        width: int,
        vectors: int,
        heads: int,
        sentinel_tokens: int,
        dropout: float,
        prompt_guided: bool,
        unit: bool,
        subject: bool,
    ) -> None:
        super().__init__()
        self.finish_vision = _unit if unit else _Normalised(width)
        self.finish_prompt = _unit if unit else _Normalised(width)
        self.vision_query = nn.Parameter(torch.randn(vectors, width))
        self.prompt_query = nn.Parameter(torch.randn(vectors, width))
        self.subject_query = nn.Parameter(torch.randn(vectors, width)) if subject else None
        self.sentinel = nn.Parameter(0.5 * torch.randn(sentinel_tokens, state_width))
        self.guide = (
            CrossAttention(width, state_width, width, width, heads) if prompt_guided else None
        )
        self.look = CrossAttention(width, state_width, width, width, heads)
        self.read = CrossAttention(width, state_width, width, width, heads)
        self.dropout = nn.Dropout(dropout)

    def forward(self, representation: Representation) -> RoutingFeatures:
        """Extract the features of a batch."""
        states, spans = representation.states, representation.spans
        words, is_word = cut(states, spans.prompt)
        words = self.dropout(words)
        asked, subject = self._read(words, is_word)
        picture, is_picture = cut(states, spans.vision)
        sees = is_picture.any(1)
        vision, sentinel = subject, torch.zeros_like(subject)
        if sees.any():
            seen, nothing = self._look(self.dropout(picture), is_picture, words, is_word)
            vision = torch.where(sees[:, None], seen, vision)
            sentinel = torch.where(sees[:, None], nothing, sentinel)
        return RoutingFeatures(
            vision=vision, prompt=asked, sentinel=sentinel, sees=sees, length=is_word.sum(1)
        )

    def _look(
        self,
        picture: Float[Tensor, "batch tokens width"],
        is_picture: Bool[Tensor, "batch tokens"],
        words: Float[Tensor, "batch length width"],
        is_word: Bool[Tensor, "batch length"],
    ) -> tuple[Tensor, Tensor]:
        """What the picture shows, and what it would if it were the vision sentinel."""
        guided = self.vision_query.expand(len(words), -1, -1)
        if self.guide is not None:
            guided = F.layer_norm(
                guided + self.guide(guided, words, is_word), self.vision_query.shape[-1:]
            )
        count, tokens = len(self.vision_query), picture.shape[1]
        sentinel = self.sentinel.expand(len(picture), -1, -1)
        everywhere = is_picture.new_ones(sentinel.shape[:2])
        # the first half of the queries looks at the picture, the second at the sentinel
        apart = picture.new_zeros(len(picture), 2 * count, tokens + sentinel.shape[1])
        apart[:, :count, tokens:] = apart[:, count:, :tokens] = NOWHERE
        both = self.look(
            torch.cat([guided, guided], 1),
            torch.cat([picture, sentinel], 1),
            torch.cat([is_picture, everywhere], 1),
            apart,
        )
        return self.finish_vision(both[:, :count]), self.finish_vision(both[:, count:])

    def _read(
        self, words: Float[Tensor, "batch length width"], is_word: Bool[Tensor, "batch length"]
    ) -> tuple[Tensor, Tensor]:
        """What is asked, and about which subject."""
        if self.subject_query is None:
            query = self.prompt_query.expand(len(words), -1, -1)
            asked = self.finish_prompt(self.read(query, words, is_word))
            return asked, torch.zeros_like(asked)
        both = torch.cat([self.prompt_query, self.subject_query]).expand(len(words), -1, -1)
        asked, subject = self.read(both, words, is_word).chunk(2, dim=1)
        return self.finish_prompt(asked), self.finish_prompt(subject)


def _unit(vectors: Float[Tensor, "batch k width"]) -> Float[Tensor, "batch features"]:
    """Each of the k vectors to length 1/sqrt(k), so that a dot product is their mean cosine."""
    return F.normalize(vectors.float(), dim=-1).flatten(1) / vectors.shape[1] ** 0.5


class _Normalised(nn.Module):
    """A learned layer norm, as in the authors' code; a dot product is then divided as attention's.

    Such that it is the mean of the k vectors' dot products over the root of the width. With the
    norm an edit's score does not depend on how long its feature happens to be.
    """

    _GAIN = 0.5  # a feature's similarity to itself begins as a quarter of the width's root

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        nn.init.constant_(self.norm.weight, self._GAIN)

    def forward(self, vectors: Float[Tensor, "batch k width"]) -> Float[Tensor, "batch features"]:
        vectors = self.norm(vectors.float())
        return vectors.flatten(1) / (vectors.shape[1] ** 0.5 * vectors.shape[2] ** 0.25)
