"""Routing: which experts concern a query, and how much.

A hard filter compares what the pictures show, prompt-guided, against a learned threshold (the
vision sentinel); a soft router weighs the survivors by what the questions ask. LiveEdit, section
on routing: ``E = {e : phi . phi_e > phi . phi_Theta}``,
``w_e = sigmoid(psi . psi_e) softmax_E(psi . psi_e)``. Ours differs by switches of ``Router``, and
has a hard filter for text-only queries, too: on the subject they are about.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from liveedit.correction.images import Pictures
from liveedit.methods.liveedit.attention import CrossAttention
from liveedit.methods.liveedit.representation import Representation, cut
from liveedit.methods.route import Route


@dataclass(frozen=True)
class QueryPictures:
    """Pictures of the rows of a batch, got only when they are looked at.

    Args:
        get: Gives the picture of a number.
        rows: The number of each row.
    """

    get: Callable[[int], Pictures]
    rows: Sequence[int]

    def __getitem__(self, row: int) -> Pictures:
        return self.get(self.rows[row])

    def take(self, rows: Sequence[int]) -> QueryPictures:
        """Those of some rows."""
        return QueryPictures(self.get, [self.rows[row] for row in rows])


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
        pictures: Gives the pictures that the rows are about, where they are at hand.
    """

    sentinel: Float[Tensor, "batch features"]
    pictures: QueryPictures | None = None

    def map(self, change: Callable[[Tensor], Tensor]) -> RoutingFeatures:
        """The same done to each tensor."""
        return RoutingFeatures(
            vision=change(self.vision),
            prompt=change(self.prompt),
            sentinel=change(self.sentinel),
            sees=change(self.sees),
        )

    def take(self, rows: Int[Tensor, " some"]) -> RoutingFeatures:
        """Some rows of the batch, in this order."""
        pictures = None if self.pictures is None else self.pictures.take(rows.tolist())
        return replace(self.map(lambda part: part[rows]), pictures=pictures)

    def rows(self, which: slice) -> RoutingFeatures:
        """Some rows of the batch."""
        return self.map(lambda part: part[which])

    @staticmethod
    def join(parts: Sequence[RoutingFeatures]) -> RoutingFeatures:
        """One batch after the other."""
        return RoutingFeatures(
            vision=torch.cat([part.vision for part in parts]),
            prompt=torch.cat([part.prompt for part in parts]),
            sentinel=torch.cat([part.sentinel for part in parts]),
            sees=torch.cat([part.sees for part in parts]),
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
    """

    vision: Float[Tensor, "batch experts"]
    sentinel: Float[Tensor, "batch 1"]
    prompt: Float[Tensor, "batch experts"]
    pictured: Bool[Tensor, "batch 1"]
    sees: Bool[Tensor, "batch experts"]
    alike: Bool[Tensor, "batch experts"]

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
        )


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
        return RoutingFeatures(vision=vision, prompt=asked, sentinel=sentinel, sees=sees)

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
        sentinel = self.sentinel[None]
        everywhere = torch.ones(sentinel.shape[:2], dtype=torch.bool, device=words.device)
        return (
            self.finish_vision(self.look(guided, picture, is_picture)),
            self.finish_vision(self.look(guided, sentinel, everywhere)),
        )

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


class Router(nn.Module):
    """Similarities on learned scales, and the rule that turns them into a route.

    Text-only queries are routed to text-only edits, by the questions alone (the *text router*);
    queries with a picture to edits with a picture. The text router's hard filter is on the subject
    of the questions, with a threshold of its own.

    The hard filter's threshold is ``phi . phi_Theta + margin + crowding * ln n`` with n edits that
    may be chosen: the more there are, the likelier one is like the picture by chance.

    Args:
        learned: Whether the scales are learned; if not, similarities are plain dot products.
        hard: Whether the hard filter is on; without it every eligible expert passes.
        soft: Whether the soft weights are on; without them every expert that passes weighs 1.
        ask: Whether an expert must also pass by what is asked: ``sigmoid > 1/2``.
        joint: Whether experts that pass share the weight by picture and question, instead of by
            question alone.
        text: Whether the text router is on; without it nothing is routed without a picture.
        subject: Whether the text router has a hard filter.
        pixels: Whether the very picture of an edit passes the hard filter by its pixels.
    """

    margin: Tensor
    crowding: Tensor
    prompt_margin: Tensor
    text_margin: Tensor
    subject_margin: Tensor
    picture_margin: Tensor

    def __init__(
        self,
        *,
        learned: bool = True,
        hard: bool = True,
        soft: bool = True,
        ask: bool = True,
        joint: bool = True,
        text: bool = True,
        subject: bool = True,
        pixels: bool = True,
    ) -> None:
        super().__init__()
        self.hard, self.soft, self.ask, self.joint, self.text = hard, soft, ask, joint, text
        self.subject, self.pixels = subject, pixels

        def scale(value: float, otherwise: float) -> nn.Parameter:
            return nn.Parameter(torch.tensor(value if learned else otherwise), learned)

        self.vision_scale = scale(10.0, 1.0)
        self.prompt_scale, self.prompt_bias = scale(10.0, 1.0), scale(-5.0, 0.0)
        self.text_scale, self.text_bias = scale(10.0, 1.0), scale(-5.0, 0.0)
        if subject:
            self.subject_scale, self.subject_bias = scale(10.0, 1.0), scale(-5.0, 0.0)
        self.register_buffer("subject_margin", torch.tensor(0.0), persistent=subject)
        never = 0.0 if pixels else torch.inf
        self.register_buffer("picture_margin", torch.tensor(never), persistent=pixels)
        for name in ("margin", "crowding", "prompt_margin", "text_margin"):
            self.register_buffer(name, torch.tensor(0.0))

    def similarities(self, queries: RoutingFeatures, edits: EditFeatures) -> Similarities:
        """Compare queries (input side) with edits (edit side), as a few matrix products."""
        pictured = queries.sees[:, None]
        cosine = queries.prompt @ edits.prompt.T
        asked = torch.where(
            pictured,
            self.prompt_scale * cosine + self.prompt_bias,
            self.text_scale * cosine + self.text_bias,
        )
        cosine = queries.vision @ edits.vision.T
        seen = self.vision_scale * cosine
        if self.subject:
            seen = torch.where(pictured, seen, self.subject_scale * cosine + self.subject_bias)
        sentinel = (queries.vision * queries.sentinel).sum(1, keepdim=True)
        return Similarities(
            vision=seen,
            sentinel=torch.where(pictured, self.vision_scale * sentinel, 0.0),
            prompt=asked,
            pictured=pictured,
            sees=queries.sees[:, None] & edits.sees,
            alike=queries.sees[:, None] == edits.sees,
        )

    def route(
        self,
        queries: RoutingFeatures,
        edits: EditFeatures,
        eligible: Bool[Tensor, "#batch experts"],
        crowd: Int[Tensor, "batch 1"] | None = None,
    ) -> Route:
        """Filter and weigh the experts for every query.

        Args:
            queries: Input-side features.
            edits: Edit-side features of the experts.
            eligible: Experts that may be chosen at all, for each query or for all.
            crowd: How many might have been chosen, where these are only the nearest of them.
        """
        return self.decide(self.similarities(queries, edits), eligible, crowd)

    def decide(
        self,
        alike: Similarities,
        eligible: Bool[Tensor, "#batch experts"],
        crowd: Int[Tensor, "batch 1"] | None = None,
        same_picture: Bool[Tensor, "batch experts"] | None = None,
    ) -> Route:
        """Filter and weigh by similarities that are known already.

        Args:
            alike: The similarities.
            eligible: See :meth:`route`.
            crowd: See :meth:`route`.
            same_picture: Pairs that pass whatever is seen, if they ask the same.
        """
        allowed = eligible & (alike.alike if self.text else alike.sees)
        if crowd is None:
            crowd = allowed.sum(1, keepdim=True)
        threshold = alike.sentinel + self.margin + self.crowding * crowd.clamp(min=1).log()
        compared = alike.sees
        if self.subject:
            threshold = torch.where(alike.pictured, threshold, self.subject_margin)
            compared = alike.alike
        asked = alike.prompt - torch.where(alike.sees, self.prompt_margin, self.text_margin)
        passes = allowed
        if self.hard:
            seen = (alike.vision > threshold) | ~compared
            passes = passes & (seen if same_picture is None else seen | same_picture)
        if self.ask:
            passes = passes & (asked > 0)
        elif self.text:  # without a picture there is nothing but the question to go by
            passes = passes & ((asked > 0) | alike.sees)
        score = asked + torch.where(compared, alike.vision, 0.0) if self.joint else asked
        relative = torch.softmax(score.masked_fill(~passes, -torch.inf), dim=1)
        weight = asked.sigmoid() * relative.nan_to_num() if self.soft else torch.ones_like(asked)
        weights = torch.where(passes, weight, 0.0)
        return Route(
            vision=alike.vision, threshold=threshold, prompt=asked, passes=passes, weights=weights
        )


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
