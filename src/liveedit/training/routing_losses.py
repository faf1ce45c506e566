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

from liveedit.data.emoji_edit.concepts import all_concepts
from liveedit.data.emoji_edit.corrections import EditCase
from liveedit.data.emoji_edit.knowledge import TextCase
from liveedit.data.emoji_edit.scene import Scene
from liveedit.data.views import OTHER_IMAGE, OTHER_QUESTION, TAUGHT, TEXT_OTHER
from liveedit.methods.liveedit.routing import EditFeatures, Route, Router, RoutingFeatures

FIRES = 0.5  # an expert of at least this weight counts as fired


@dataclass(frozen=True, kw_only=True)
class Relation:
    """What queries have to do with the edits of a batch.

    Args:
        own: For each query the edit it was made from.
        seen: Queries whose picture shows what their own edit's picture shows.
        unseen: Pairs whose pictures do not show the same things, though they may share some.
        asked: Pairs that ask the same.
        strict: Queries that ask something else about their own edit's picture.
        elsewhere: Pairs of different pictures, though they may show the same things.
    """

    own: Int[Tensor, " queries"]
    seen: Bool[Tensor, " queries"]
    unseen: Bool[Tensor, "queries edits"]
    asked: Bool[Tensor, "queries edits"]
    strict: Bool[Tensor, " queries"]
    elsewhere: Bool[Tensor, "queries edits"]

    def to(self, device: torch.device) -> Relation:
        """The same on another device."""
        return Relation(
            own=self.own.to(device),
            seen=self.seen.to(device),
            unseen=self.unseen.to(device),
            asked=self.asked.to(device),
            strict=self.strict.to(device),
            elsewhere=self.elsewhere.to(device),
        )


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
        scenes = {scene: index for index, scene in enumerate({case.scene for case in cases})}
        self.scenes = torch.tensor([scenes[case.scene] for case in cases])
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
        shared = shows @ self.shows[edits].T
        unseen = shared < torch.maximum(shows.sum(1)[:, None], self.shows[edits].sum(1))
        return Relation(
            own=own,
            seen=~elsewhere,
            unseen=unseen,
            asked=asks[:, None] == self.asks[edits],
            strict=views == OTHER_QUESTION,
            elsewhere=elsewhere[:, None] | (self.scenes[cases][:, None] != self.scenes[edits]),
        )


class TextMeanings:
    """Numbers for what every view of a list of text-only corrections asks."""

    def __init__(self, cases: Sequence[TextCase]) -> None:
        numbers: dict[tuple[str, str], int] = {}

        def number(family: str, thing: str) -> int:
            return numbers.setdefault((family, thing), len(numbers))

        self.asks = torch.tensor([number(case.family, case.thing) for case in cases])
        self.other_asks = torch.tensor([number(c.other_family, c.other_thing) for c in cases])

    def asked(
        self, edits: Int[Tensor, " edits"], views: Int[Tensor, " queries"]
    ) -> Bool[Tensor, "queries edits"]:
        """Which queries ask what which corrections do; query q is of edit ``q % len(edits)``."""
        cases = edits[torch.arange(len(views)) % len(edits)]
        asks = torch.where(views == TEXT_OTHER, self.other_asks[cases], self.asks[cases])
        return asks[:, None] == self.asks[edits]


def routing_losses(
    queries: RoutingFeatures, edits: EditFeatures, router: Router, relation: Relation
) -> dict[str, Tensor]:
    """Unweighted losses.

    Returns:
        ``hard``: NCE of a query's own edit against the edits of other pictures and the sentinel.
        ``sentinel``: NCE of the sentinel against the edits of other pictures, for every query.
        ``absolute``: binary cross-entropy of the sigmoid, same questions against others.
        ``strict``: the same for another question about the edit's own picture.
        ``relative``: NCE of a query's own edit against edits that ask something else or, where the
        router weighs by both, are about another picture: of look-alikes the nearest one wins.
        ``rel``: share of queries routed to their own edit that should be, for the log. ``loc``:
        share of the strict queries (another picture, another question) routed to no edit.
    """
    alike = router.similarities(queries, edits)
    seen, sentinel, asked = alike.vision, alike.sentinel, alike.prompt
    rows = torch.arange(len(relation.own), device=seen.device)
    own_seen, own_asked = seen[rows, relation.own], asked[rows, relation.own]
    # another question about the same picture may look elsewhere: vision is not taught by it
    taught = relation.seen & ~relation.strict
    if router.joint:
        same, score, different = taught, seen + asked, ~relation.asked | relation.elsewhere
    else:
        same, score, different = taught | ~relation.seen, asked, ~relation.asked
    return {
        "hard": _nce(
            own_seen[taught], torch.cat([sentinel, seen], 1)[taught], _with_first(relation)[taught]
        ),
        "sentinel": _nce(sentinel[:, 0], seen, relation.unseen),
        "absolute": F.softplus(-asked[relation.asked]).mean()
        + F.softplus(asked[~relation.asked]).mean(),
        "strict": F.softplus(own_asked[relation.strict]).sum() / relation.strict.sum().clamp(min=1),
        "relative": _nce(score[rows, relation.own][same], score[same], different[same]),
        **_routed(router.decide(alike, torch.ones_like(relation.asked[:1])), relation),
    }


def text_losses(
    queries: RoutingFeatures,
    edits: EditFeatures,
    router: Router,
    asked: Bool[Tensor, "queries edits"],
    own: Int[Tensor, " queries"],
) -> dict[str, Tensor]:
    """Unweighted losses of the text router, on text-only corrections.

    Args:
        queries: Input side.
        edits: Edit side.
        router: Its scales.
        asked: Pairs that ask the same.
        own: For each query the edit it was made from.

    Returns:
        ``text``: NCE of a question's own edit against the threshold and the edits that ask
        something else. ``text_silence``: NCE of the threshold against these, for every query.
        ``text_rel``, ``text_loc``: as ``rel`` and ``loc`` of :func:`routing_losses`.
    """
    scores = router.similarities(queries, edits).prompt
    rows = torch.arange(len(own), device=own.device)
    mine = asked[rows, own]
    threshold = torch.zeros_like(scores[:, :1])
    others = torch.cat([threshold, scores], 1)
    counts = torch.cat([torch.ones_like(asked[:, :1]), ~asked], 1)
    return {
        "text": _nce(scores[rows, own][mine], others[mine], counts[mine]),
        "text_silence": _nce(threshold[:, 0], scores, ~asked),
        "text_rel": _share_of(scores[rows, own][mine] > 0),
        "text_loc": _share_of(scores.masked_fill(asked, -1.0).amax(1)[~mine] <= 0),
    }


@torch.no_grad()
def _routed(route: Route, relation: Relation) -> dict[str, Tensor]:
    rows = torch.arange(len(relation.own), device=relation.own.device)
    own = route.weights[rows, relation.own]
    strict = relation.strict | ~relation.seen
    return {
        "rel": _share_of(own[~strict] >= FIRES),
        "loc": _share_of(route.weights[strict].amax(1) < FIRES),
    }


def _share_of(right: Bool[Tensor, " queries"]) -> Float[Tensor, ""]:
    """Share of queries that are right; all, where there is none (NaN would be no JSON)."""
    return right.float().mean() if len(right) else torch.ones((), device=right.device)


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


def draw_groups(count: int, batch: int, group: int) -> Int[Tensor, " batch"]:
    """Some corrections, those of a group together.

    Args:
        count: How many there are, group behind group.
        batch: How many to draw.
        group: How many neighbours a group has.
    """
    chosen = torch.randperm(max(count // group, 1))[: max(batch // group, 1)]
    return (chosen[:, None] * group + torch.arange(group)).flatten()[:count]


def draw_views(
    batch: int, *, strict: bool = True
) -> tuple[Int[Tensor, " edits"], Int[Tensor, " queries"]]:
    """For a batch of corrections the view on the edit side, and one query of every view.

    As in the paper either side may get the correction itself or a rephrased one.

    Args:
        batch: How many corrections.
        strict: With the views that no edit concerns.
    """
    edit_side = torch.randint(0, 3, (batch,)) * (torch.rand(batch) < 0.4)
    views = len(TAUGHT) if strict else OTHER_IMAGE
    return edit_side, torch.arange(views).repeat_interleave(batch)
