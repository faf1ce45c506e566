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

from liveedit.data.emoji_edit.corrections import EditCase
from liveedit.data.emoji_edit.knowledge import TextCase, kind_of
from liveedit.data.emoji_edit.scene import Scene
from liveedit.data.photo_edit.corrections import PhotoCase
from liveedit.data.photo_edit.photo import Photo
from liveedit.data.views import (
    EDIT,
    MET_AGAIN,
    OTHER_IMAGE,
    OTHER_QUESTION,
    REDRAWN,
    REPHRASE,
    TAUGHT,
    TEXT_OTHER,
)
from liveedit.methods.liveedit.features import EditFeatures, RoutingFeatures
from liveedit.methods.liveedit.routing import Router
from liveedit.methods.route import Route

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

    def __init__(self, cases: Sequence[EditCase | PhotoCase]) -> None:
        scenes = [scene for case in cases for scene in (case.scene, case.strict_scene)]
        things = dict.fromkeys(thing for scene in scenes for thing in scene.concepts)
        order = {thing: index for index, thing in enumerate(things)}
        asked: dict[tuple[str, str], int] = {}

        def shows(scene: Scene | Photo) -> Tensor:
            one = torch.zeros(len(order))
            one[[order[name] for name in scene.concepts]] = 1
            return one

        def number(meaning: tuple[str, str]) -> int:
            return asked.setdefault(meaning, len(asked))

        self.shows = torch.stack([shows(case.scene) for case in cases])
        self.other_shows = torch.stack([shows(case.strict_scene) for case in cases])
        number_of = {scene: index for index, scene in enumerate({case.scene for case in cases})}
        self.scenes = torch.tensor([number_of[case.scene] for case in cases])
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


@dataclass(frozen=True, kw_only=True)
class TextRelation:
    """What text-only queries have to do with the edits of a batch.

    Args:
        own: For each query the edit it was made from.
        asked: Pairs that ask the same about the same subject.
        about: Pairs about the same subject.
        relation: Pairs that ask the same, about whatever subject.
        siblings: Pairs about subjects of one kind, of which it is known whether they ask the same.
    """

    own: Int[Tensor, " queries"]
    asked: Bool[Tensor, "queries edits"]
    about: Bool[Tensor, "queries edits"]
    relation: Bool[Tensor, "queries edits"]
    siblings: Bool[Tensor, "queries edits"]

    def to(self, device: torch.device) -> TextRelation:
        """The same on another device."""
        return TextRelation(
            own=self.own.to(device),
            asked=self.asked.to(device),
            about=self.about.to(device),
            relation=self.relation.to(device),
            siblings=self.siblings.to(device),
        )


class TextMeanings:
    """Numbers for what every view of a list of text-only corrections asks."""

    def __init__(self, cases: Sequence[TextCase]) -> None:
        def numbers(names: list[str], others: list[str]) -> tuple[Tensor, Tensor]:
            known = {name: number for number, name in enumerate(dict.fromkeys(names + others))}
            return torch.tensor([known[n] for n in names]), torch.tensor([known[n] for n in others])

        families, others = [c.family for c in cases], [c.other_family for c in cases]
        self.family = numbers(families, others)
        self.kind = numbers([*map(kind_of, families)], [*map(kind_of, others)])
        self.thing = numbers([c.thing for c in cases], [c.other_thing for c in cases])

    def relation(
        self, edits: Int[Tensor, " edits"], views: Int[Tensor, " queries"]
    ) -> TextRelation:
        """Relation of a batch; query q is of edit ``q % len(edits)``."""
        own = torch.arange(len(views)) % len(edits)
        other = views == TEXT_OTHER

        def equal(numbers: tuple[Tensor, Tensor]) -> Tensor:
            mine = torch.where(other, numbers[1][edits[own]], numbers[0][edits[own]])
            return mine[:, None] == numbers[0][edits]

        about, relation, siblings = map(equal, (self.thing, self.family, self.kind))
        return TextRelation(
            own=own, asked=about & relation, about=about, relation=relation, siblings=siblings
        )


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
    queries: RoutingFeatures, edits: EditFeatures, router: Router, relation: TextRelation
) -> dict[str, Tensor]:
    """Unweighted losses of the text router, on text-only corrections.

    Returns:
        ``subject``: NCE of a query's own subject against the threshold and other subjects.
        ``subject_silence``: NCE of the threshold against these, for every query.
        ``text_absolute``: binary cross-entropy of the sigmoid, same questions against others about
        subjects of one kind; without a subject filter the question and its subject are one.
        ``text``: NCE of a question's own edit against those that ask something else, by subject and
        question. ``text_rel``, ``text_loc``: as ``rel`` and ``loc`` of :func:`routing_losses`.
    """
    alike = router.similarities(queries, edits)
    about, asked = alike.vision, alike.prompt
    rows = torch.arange(len(relation.own), device=asked.device)
    mine = relation.asked[rows, relation.own]  # the others ask something else
    own = relation.about[rows, relation.own]
    score = about + asked
    threshold, everything = torch.zeros_like(score[:, :1]), torch.ones_like(own[:, None])
    others = torch.cat([threshold, about], 1), torch.cat([everything, ~relation.about], 1)
    if router.subject:
        same, different = relation.relation, relation.siblings & ~relation.relation
    else:
        same, different = relation.asked, ~relation.asked
    return {
        "subject": _nce(about[rows, relation.own][own], others[0][own], others[1][own]),
        "subject_silence": _nce(threshold[:, 0], about, ~relation.about),
        "text_absolute": F.softplus(-asked[same]).mean() + F.softplus(asked[different]).mean(),
        "text": _nce(score[rows, relation.own][mine], score[mine], ~relation.asked[mine]),
        **_text_routed(router.decide(alike, everything[:1]), relation, mine),
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


@torch.no_grad()
def _text_routed(
    route: Route, relation: TextRelation, mine: Bool[Tensor, " queries"]
) -> dict[str, Tensor]:
    rows = torch.arange(len(mine), device=mine.device)
    wrong = route.weights.masked_fill(relation.asked, 0.0).amax(1)
    return {
        "text_rel": _share_of(route.weights[rows, relation.own][mine] >= FIRES),
        "text_loc": _share_of(wrong[~mine] < FIRES),
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
    order = torch.randperm(max(count // group, 1))[: max(batch // group, 1)]
    chosen = (order[:, None] * group + torch.arange(group)).flatten()
    return chosen[chosen < count]


def draw_views(
    batch: int, *, strict: bool = True
) -> tuple[Int[Tensor, " edits"], Int[Tensor, " queries"]]:
    """For a batch of corrections the view on the edit side, and one query of every view.

    As in the paper either side may get the correction itself or a rephrased one; here also one as
    it is met again.

    Args:
        batch: How many corrections.
        strict: With the views that no edit concerns.
    """
    sides = torch.tensor([EDIT, REPHRASE, REDRAWN, MET_AGAIN])[torch.randint(0, 4, (batch,))]
    edit_side = torch.where(torch.rand(batch) < 0.4, sides, EDIT)
    views = len(TAUGHT) if strict else OTHER_IMAGE
    return edit_side, torch.arange(views).repeat_interleave(batch)
