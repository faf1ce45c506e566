"""Routing losses against their equations written out in loops."""

import math
from itertools import islice

import pytest
import torch

from liveedit.data.emoji_edit.knowledge import text_cases
from liveedit.data.emoji_edit.neighbours import neighbouring_cases
from liveedit.data.views import (
    OTHER_IMAGE,
    OTHER_QUESTION,
    TAUGHT,
    TEXT_OTHER,
    TEXT_TAUGHT,
    TEXT_VIEWS,
)
from liveedit.methods.liveedit.routing import Router, RoutingFeatures
from liveedit.training.routing_losses import (
    Meanings,
    Relation,
    TextMeanings,
    draw_groups,
    draw_views,
    routing_losses,
    text_losses,
)

EDITS, FEATURES = 4, 6
SCALE = 10.0


def features(rows: int, *, sees: bool = True) -> RoutingFeatures:
    return RoutingFeatures(
        vision=0.3 * torch.randn(rows, FEATURES),
        prompt=0.3 * torch.randn(rows, FEATURES),
        sentinel=0.3 * torch.randn(rows, FEATURES),
        sees=torch.full((rows,), sees),
    )


@pytest.fixture
def batch() -> tuple[RoutingFeatures, RoutingFeatures, Relation]:
    torch.manual_seed(3)
    queries = len(TAUGHT) * EDITS
    views = torch.arange(len(TAUGHT)).repeat_interleave(EDITS)
    own = torch.arange(queries) % EDITS
    unseen = torch.rand(queries, EDITS) < 0.7
    asked = torch.rand(queries, EDITS) < 0.2
    elsewhere = unseen | (torch.rand(queries, EDITS) < 0.3)
    rows = torch.arange(queries)
    elsewhere[rows, own] = views == OTHER_IMAGE
    unseen[rows, own] = views == OTHER_IMAGE
    asked[rows, own] = views != OTHER_QUESTION
    relation = Relation(
        own=own, seen=views != OTHER_IMAGE, unseen=unseen, asked=asked,
        strict=views == OTHER_QUESTION, elsewhere=elsewhere,
    )  # fmt: skip
    return features(queries), features(EDITS), relation


def nce(positive: float, others: list[float]) -> float:
    total = math.exp(positive) + sum(math.exp(other) for other in others)
    return -math.log(math.exp(positive) / total)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("ask", [True, False])
def test_losses_equal_their_equations(batch, joint, ask) -> None:
    queries, edits, relation = batch
    router = Router(joint=joint, ask=ask)
    router.prompt_bias.data.fill_(0)
    losses = routing_losses(queries, edits, router, relation)
    found = {name: value.item() for name, value in losses.items()}
    hard, sentinel, relative, strict, same, other = [], [], [], [], [], []
    rel, loc = [], []
    for q in range(len(relation.own)):
        own = int(relation.own[q])
        seen = [SCALE * float(queries.vision[q] @ edits.vision[e]) for e in range(EDITS)]
        asked = [SCALE * float(queries.prompt[q] @ edits.prompt[e]) for e in range(EDITS)]
        both = [s + a if joint else a for s, a in zip(seen, asked, strict=True)]
        threshold = SCALE * float(queries.vision[q] @ queries.sentinel[q])
        unseen = [seen[e] for e in range(EDITS) if relation.unseen[q, e]]
        sentinel.append(nce(threshold, unseen))
        passing = [e for e in range(EDITS) if seen[e] > threshold and (asked[e] > 0 or not ask)]
        total = sum(math.exp(both[e]) for e in passing)
        weights = {e: math.exp(both[e]) / total * sigmoid(asked[e]) for e in passing}
        taught = relation.seen[q] and not relation.strict[q]
        if taught:
            rel.append(float(weights.get(own, 0) >= 0.5))
            hard.append(nce(seen[own], [threshold, *unseen]))
        else:
            loc.append(float(max(weights.values(), default=0) < 0.5))
        if relation.strict[q]:
            strict.append(-math.log(1 - sigmoid(asked[own])))
        # by both only a query that its own edit answers has one to be routed to
        if taught or (not joint and not relation.strict[q]):
            different = [
                both[e]
                for e in range(EDITS)
                if not relation.asked[q, e] or (joint and relation.elsewhere[q, e])
            ]
            relative.append(nce(both[own], different))
        for e in range(EDITS):
            if relation.asked[q, e]:
                same.append(-math.log(sigmoid(asked[e])))
            else:
                other.append(-math.log(1 - sigmoid(asked[e])))
    expected = {
        "hard": mean(hard), "sentinel": mean(sentinel), "absolute": mean(same) + mean(other),
        "strict": mean(strict), "relative": mean(relative), "rel": mean(rel), "loc": mean(loc),
    }  # fmt: skip
    assert found == pytest.approx(expected, rel=1e-3)


def test_relation_of_real_corrections() -> None:
    some = list(islice(neighbouring_cases(), 40))
    edits = torch.arange(40)
    views = torch.arange(len(TAUGHT)).repeat_interleave(40)
    relation = Meanings(some).relation(edits, views)
    partly = alike = 0
    for q in range(len(views)):
        view, case = int(views[q]), some[q % 40]
        shown = set((case.strict_scene if view == OTHER_IMAGE else case.scene).concepts)
        question = case.strict_question if view == OTHER_QUESTION else case.question
        assert int(relation.own[q]) == q % 40
        assert bool(relation.seen[q]) == (view != OTHER_IMAGE)
        assert bool(relation.strict[q]) == (view == OTHER_QUESTION)
        for e, edit in enumerate(some):
            things = set(edit.scene.concepts)
            assert bool(relation.unseen[q, e]) == (shown != things)
            assert bool(relation.asked[q, e]) == (question.meaning == edit.question.meaning)
            other_picture = view == OTHER_IMAGE or case.scene != edit.scene
            assert bool(relation.elsewhere[q, e]) == other_picture
            partly += bool(shown & things) and shown != things
            alike += shown == things and other_picture
    assert partly > 5, "no two pictures share a part of their things"
    assert alike > 5, "no look-alikes"


@pytest.fixture
def text_batch() -> tuple[RoutingFeatures, RoutingFeatures, torch.Tensor, torch.Tensor]:
    torch.manual_seed(4)
    views = torch.arange(len(TEXT_TAUGHT)).repeat_interleave(EDITS)
    own = torch.arange(len(views)) % EDITS
    asked = torch.rand(len(views), EDITS) < 0.2
    asked[torch.arange(len(views)), own] = views != TEXT_OTHER
    return features(len(views), sees=False), features(EDITS, sees=False), asked, own


def test_text_losses_equal_their_equations(text_batch) -> None:
    queries, edits, asked, own = text_batch
    router = Router()
    bias = -1.0
    router.text_bias.data.fill_(bias)
    router.prompt_bias.data.fill_(7)  # those with a picture have their own
    losses = text_losses(queries, edits, router, asked, own)
    found = {name: value.item() for name, value in losses.items()}
    text, silence, rel, loc = [], [], [], []
    for q in range(len(own)):
        scores = [SCALE * float(queries.prompt[q] @ edits.prompt[e]) + bias for e in range(EDITS)]
        others = [scores[e] for e in range(EDITS) if not asked[q, e]]
        silence.append(nce(0.0, others))
        if asked[q, own[q]]:
            text.append(nce(scores[own[q]], [0.0, *others]))
            rel.append(float(scores[own[q]] > 0))
        else:
            loc.append(float(all(score <= 0 for score in others)))
    expected = {
        "text": mean(text), "text_silence": mean(silence), "text_rel": mean(rel),
        "text_loc": mean(loc),
    }  # fmt: skip
    assert found == pytest.approx(expected, rel=1e-3)
    assert 0 < expected["text_rel"] < 1
    assert 0 < expected["text_loc"] < 1


def test_what_real_text_only_corrections_ask() -> None:
    some = list(islice(text_cases("train"), 300))
    edits = torch.arange(300)
    views = torch.arange(len(TEXT_TAUGHT)).repeat_interleave(300)
    found = TextMeanings(some).asked(edits, views)
    expected = [
        [
            (case.family, case.thing) == (edit.family, edit.thing)
            if name != "other question"
            else (case.other_family, case.other_thing) == (edit.family, edit.thing)
            for edit in some
        ]
        for name in TEXT_VIEWS
        for case in some
    ]
    assert found.tolist() == expected
    assert found[600:].any(), "no other question asks what another correction does"
    assert found[:300].sum() > 300, "no two corrections ask the same"


def test_groups_are_drawn_together_and_once() -> None:
    torch.manual_seed(0)
    for count, batch in ((40, 12), (40, 40), (7, 8), (3, 4)):
        chosen = draw_groups(count, batch, 4)
        assert len(set(chosen.tolist())) == len(chosen) <= min(batch, count)
        assert int(chosen.max()) < count
        for group in chosen.split(4):
            assert (group - group[0]).tolist() == list(range(len(group)))
            assert int(group[0]) % 4 == 0


def test_without_strict_cases_none_is_drawn() -> None:
    torch.manual_seed(0)
    edit_side, query_side = draw_views(50, strict=False)
    assert set(query_side.tolist()) == {
        TAUGHT.index(name) for name in ("edit", "rephrase", "redrawn")
    }
    assert set(edit_side.tolist()) == set(query_side.tolist())
    assert set(draw_views(50)[1].tolist()) == set(range(len(TAUGHT)))


def test_without_strict_cases_their_loss_is_none(batch) -> None:
    queries, edits, relation = batch
    rows = OTHER_IMAGE * EDITS
    few = Relation(
        own=relation.own[:rows], seen=relation.seen[:rows], unseen=relation.unseen[:rows],
        asked=relation.asked[:rows], strict=relation.strict[:rows],
        elsewhere=relation.elsewhere[:rows],
    )  # fmt: skip
    losses = routing_losses(queries.rows(slice(rows)), edits, Router(), few)
    assert losses["strict"] == 0
    for name in ("hard", "sentinel", "absolute", "relative"):
        assert losses[name].isfinite()
