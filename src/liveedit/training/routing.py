"""Losses that teach the router alone, on cached states; no language model runs.

LiveEdit's three (hard routing with the vision sentinel, absolute and relative soft routing), with
the strict cases among the negatives: the edit's question about another picture, and another
question about the edit's picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from liveedit.benchmark.emoji_edit import EditCase
from liveedit.routing import Router, RoutingFeatures
from liveedit.scenes.concepts import all_concepts
from liveedit.scenes.scene import Scene
from liveedit.training.views import OTHER_IMAGE, OTHER_QUESTION, TAUGHT

FIRES = 0.5  # an expert of at least this weight counts as fired


@dataclass(frozen=True, kw_only=True)
class Relation:
    """What queries have to do with the edits of a batch.

    Args:
        own: For each query the edit it was made from.
        seen: Queries whose picture shows what their own edit's picture shows.
        unseen: Pairs whose pictures show different things; what is neither (some things shared) is
            left out of the losses.
        asked: Pairs that ask the same.
        strict: Queries that ask something else about their own edit's picture.
    """

    own: Int[Tensor, " queries"]
    seen: Bool[Tensor, " queries"]
    unseen: Bool[Tensor, "queries edits"]
    asked: Bool[Tensor, "queries edits"]
    strict: Bool[Tensor, " queries"]


class Meanings:
    """Numbers for what every view of a list of corrections shows and asks."""

    def __init__(self, cases: Sequence[EditCase]) -> None:
        order = {concept.name: index for index, concept in enumerate(all_concepts())}
        asked: dict[tuple[str, str], int] = {}

        def shows(scene: Scene) -> Tensor:
            one = torch.zeros(len(order))
            one[[order[name] for name in scene.concepts]] = 1
            return one

        def number(meaning: tuple[str, str]) -> int:
            return asked.setdefault(meaning, len(asked))

        self.shows = torch.stack([shows(case.scene) for case in cases])
        self.other_shows = torch.stack([shows(case.strict_scene) for case in cases])
        self.asks = torch.tensor([number(case.question.meaning) for case in cases])
        self.other_asks = torch.tensor([number(case.strict_question.meaning) for case in cases])

    def relation(self, edits: Int[Tensor, " edits"], views: Int[Tensor, " queries"]) -> Relation:
        """Relation of a batch.

        Args:
            edits: Corrections on the edit side.
            views: View of each query; query q belongs to edit ``q % len(edits)``.
        """
        own = torch.arange(len(views)) % len(edits)
        cases = edits[own]
        elsewhere = views == OTHER_IMAGE
        shows = torch.where(elsewhere[:, None], self.other_shows[cases], self.shows[cases])
        asks = torch.where(views == OTHER_QUESTION, self.other_asks[cases], self.asks[cases])
        unseen = shows @ self.shows[edits].T == 0
        unseen[elsewhere, own[elsewhere]] = True  # even where the strict scene keeps one thing
        return Relation(
            own=own,
            seen=~elsewhere,
            unseen=unseen,
            asked=asks[:, None] == self.asks[edits],
            strict=views == OTHER_QUESTION,
        )


def routing_losses(
    queries: RoutingFeatures, edits: RoutingFeatures, router: Router, relation: Relation
) -> dict[str, Tensor]:
    """Unweighted losses.

    Returns:
        ``hard``: NCE of a query's own edit against the edits of other pictures and the sentinel.
        ``sentinel``: NCE of the sentinel against the edits of other pictures, for every query.
        ``absolute``: binary cross-entropy of the sigmoid, same questions against others.
        ``strict``: the same for another question about the edit's own picture.
        ``relative``: NCE of a question's own edit against edits that ask something else.
        ``rel``: share of queries routed to their own edit that should be, for the log. ``loc``:
        share of the strict queries (another picture, another question) routed to no edit.
    """
    seen, sentinel, asked = router.similarities(queries, edits.vision, edits.prompt)
    rows = torch.arange(len(relation.own))
    own_seen, own_asked = seen[rows, relation.own], asked[rows, relation.own]
    # another question about the same picture may look elsewhere: vision is not taught by it
    taught = relation.seen & ~relation.strict
    same = taught | ~relation.seen
    return {
        "hard": _nce(
            own_seen[taught], torch.cat([sentinel, seen], 1)[taught], _with_first(relation)[taught]
        ),
        "sentinel": _nce(sentinel[:, 0], seen, relation.unseen),
        "absolute": F.softplus(-asked[relation.asked]).mean()
        + F.softplus(asked[~relation.asked]).mean(),
        "strict": F.softplus(own_asked[relation.strict]).mean(),
        "relative": _nce(own_asked[same], asked[same], ~relation.asked[same]),
        **_routed(queries, edits, router, relation),
    }


@torch.no_grad()
def _routed(
    queries: RoutingFeatures, edits: RoutingFeatures, router: Router, relation: Relation
) -> dict[str, Tensor]:
    everything = torch.ones(len(edits.sees), dtype=torch.bool, device=edits.sees.device)
    weights = router.route(queries, edits.vision, edits.prompt, everything).weights
    own = weights[torch.arange(len(relation.own)), relation.own]
    strict = relation.strict | ~relation.seen
    return {
        "rel": (own[~strict] >= FIRES).float().mean(),
        "loc": (weights[strict].amax(1) < FIRES).float().mean(),
    }


def _with_first(relation: Relation) -> Bool[Tensor, "queries edits_and_sentinel"]:
    return torch.cat([torch.ones_like(relation.unseen[:, :1]), relation.unseen], 1)


def _nce(
    positive: Float[Tensor, " queries"],
    others: Float[Tensor, "queries candidates"],
    counts: Bool[Tensor, "queries candidates"],
) -> Float[Tensor, ""]:
    """``-log(exp(positive) / (exp(positive) + sum of exp(others that count)))``, the mean."""
    scores = torch.cat([positive[:, None], others.masked_fill(~counts, -torch.inf)], 1)
    return (scores.logsumexp(1) - positive).mean()


def draw_views(batch: int) -> tuple[Int[Tensor, " edits"], Int[Tensor, " queries"]]:
    """For a batch of corrections the view on the edit side, and one query of every view.

    As in the paper either side may get the correction itself or a rephrased one.
    """
    edit_side = torch.randint(0, 3, (batch,)) * (torch.rand(batch) < 0.4)
    return edit_side, torch.arange(len(TAUGHT)).repeat_interleave(batch)
