"""Routing losses against their equations written out in loops."""

import math
from dataclasses import replace
from itertools import islice

import pytest
import torch

from liveedit.data.emoji_edit.knowledge import kind_of
from liveedit.data.emoji_edit.neighbours import (
    TEXT_GROUP,
    neighbouring_cases,
    neighbouring_texts,
)
from liveedit.data.views import (
    MET_AGAIN,
    OTHER_IMAGE,
    OTHER_QUESTION,
    TAUGHT,
    TEXT_OTHER,
    TEXT_TAUGHT,
    TEXT_VIEWS,
)
from liveedit.methods.liveedit.features import RoutingFeatures
from liveedit.methods.liveedit.routing import Router
from liveedit.training.routing_losses import (
    Meanings,
    Relation,
    TextMeanings,
    TextRelation,
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
def text_batch() -> tuple[RoutingFeatures, RoutingFeatures, TextRelation]:
    torch.manual_seed(4)
    views = torch.arange(len(TEXT_TAUGHT)).repeat_interleave(EDITS)
    rows, own = torch.arange(len(views)), torch.arange(len(views)) % EDITS
    about, relation, siblings = (torch.rand(len(views), EDITS) < share for share in (0.3, 0.3, 0.8))
    about[rows, own] = torch.rand(len(views)) < 0.7
    about[rows, own] |= views != TEXT_OTHER
    relation[rows, own] = views != TEXT_OTHER
    together = TextRelation(
        own=own, asked=about & relation, about=about, relation=relation,
        siblings=siblings | about | relation,
    )  # fmt: skip
    return features(len(views), sees=False), features(EDITS, sees=False), together


@pytest.mark.parametrize("subject", [True, False])
def test_text_losses_equal_their_equations(text_batch, subject) -> None:
    queries, edits, relation = text_batch
    router = Router(subject=subject)
    router.text_bias.data.fill_(-1.0)
    router.prompt_bias.data.fill_(7)  # those with a picture have their own
    if subject:
        router.subject_bias.data.fill_(-0.5)
    else:  # nothing is read of the subject
        queries, edits = (replace(some, vision=0 * some.vision) for some in (queries, edits))
    losses = text_losses(queries, edits, router, relation)
    found = {name: value.item() for name, value in losses.items()}
    hard, silence, text, same, other, rel, loc = [], [], [], [], [], [], []
    for q in range(len(relation.own)):
        own = int(relation.own[q])
        about = [
            SCALE * float(queries.vision[q] @ edits.vision[e]) - 0.5 * subject for e in range(EDITS)
        ]
        asked = [SCALE * float(queries.prompt[q] @ edits.prompt[e]) - 1.0 for e in range(EDITS)]
        others = [about[e] for e in range(EDITS) if not relation.about[q, e]]
        silence.append(nce(0.0, others))
        if relation.about[q, own]:
            hard.append(nce(about[own], [0.0, *others]))
        for e in range(EDITS):
            positive = relation.relation[q, e] if subject else relation.asked[q, e]
            if positive:
                same.append(-math.log(sigmoid(asked[e])))
            elif relation.siblings[q, e] or not subject:
                other.append(-math.log(1 - sigmoid(asked[e])))
        both = [s + a for s, a in zip(about, asked, strict=True)]
        passing = [e for e in range(EDITS) if asked[e] > 0 and (about[e] > 0 or not subject)]
        total = sum(math.exp(both[e]) for e in passing)
        weights = {e: math.exp(both[e]) / total * sigmoid(asked[e]) for e in passing}
        if relation.asked[q, own]:
            different = [both[e] for e in range(EDITS) if not relation.asked[q, e]]
            text.append(nce(both[own], different))
            rel.append(float(weights.get(own, 0) >= 0.5))
        else:
            wrong = (weight for e, weight in weights.items() if not relation.asked[q, e])
            loc.append(float(max(wrong, default=0) < 0.5))
    expected = {
        "subject": mean(hard), "subject_silence": mean(silence), "text": mean(text),
        "text_absolute": mean(same) + mean(other), "text_rel": mean(rel), "text_loc": mean(loc),
    }  # fmt: skip
    assert found == pytest.approx(expected, rel=1e-3)


def test_what_real_text_only_corrections_ask() -> None:
    some = list(islice(neighbouring_texts(), 320))
    edits = torch.arange(320)
    views = torch.arange(len(TEXT_TAUGHT)).repeat_interleave(320)
    found = TextMeanings(some).relation(edits, views)
    about, relation, siblings = ([] for _ in range(3))
    for name in TEXT_VIEWS:
        for case in some:
            other = name == "other question"
            family, thing = (
                (case.other_family, case.other_thing) if other else (case.family, case.thing)
            )
            about.append([thing == edit.thing for edit in some])
            relation.append([family == edit.family for edit in some])
            siblings.append([kind_of(family) == kind_of(edit.family) for edit in some])
    assert found.about.tolist() == about
    assert found.relation.tolist() == relation
    assert found.siblings.tolist() == siblings
    assert torch.equal(found.asked, found.about & found.relation)
    assert found.asked[:320].sum() > 320, "no two corrections ask the same"
    assert (found.about[640:] & ~found.relation[640:]).any(), "no other question about a subject"
    assert (~found.siblings[640:]).all(1).any(), "no general question"


def test_groups_of_text_are_facts_of_one_subject_and_the_first_of_others() -> None:
    near = 0
    texts = list(islice(neighbouring_texts(), 40 * TEXT_GROUP))
    for start in range(0, len(texts), TEXT_GROUP):
        group = texts[start : start + TEXT_GROUP]
        if ":" not in group[0].family:
            continue
        one = group[0]
        assert [case.thing == one.thing for case in group] == [True] * 5 + [False] * 3
        assert len({case.family for case in group[:5]}) == 5
        assert {case.family for case in group[5:]} == {one.family}
        near += any(set(case.thing.split()) & set(one.thing.split()) for case in group[5:])
    assert near > 5, "no two names have a part in common"


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
    assert set(edit_side.tolist()) == {*query_side.tolist(), MET_AGAIN}
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
