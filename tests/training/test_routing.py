"""Routing losses against their equations written out in loops."""

import math
from itertools import islice

import pytest
import torch

from liveedit.benchmark.emoji_edit import training_cases
from liveedit.benchmark.views import OTHER_IMAGE, OTHER_QUESTION, TAUGHT
from liveedit.routing import Router, RoutingFeatures
from liveedit.training.routing import Meanings, Relation, routing_losses

EDITS, FEATURES = 4, 6


def features(rows: int) -> RoutingFeatures:
    return RoutingFeatures(
        vision=0.3 * torch.randn(rows, FEATURES),
        prompt=0.3 * torch.randn(rows, FEATURES),
        sentinel=0.3 * torch.randn(rows, FEATURES),
        sees=torch.ones(rows, dtype=torch.bool),
    )


@pytest.fixture
def batch() -> tuple[RoutingFeatures, RoutingFeatures, Router, Relation]:
    torch.manual_seed(3)
    queries = len(TAUGHT) * EDITS
    views = torch.arange(len(TAUGHT)).repeat_interleave(EDITS)
    own = torch.arange(queries) % EDITS
    unseen = torch.rand(queries, EDITS) < 0.7
    asked = torch.rand(queries, EDITS) < 0.2
    rows = torch.arange(queries)
    unseen[rows, own] = views == OTHER_IMAGE
    asked[rows, own] = views != OTHER_QUESTION
    relation = Relation(
        own=own, seen=views != OTHER_IMAGE, unseen=unseen, asked=asked,
        strict=views == OTHER_QUESTION,
    )  # fmt: skip
    return features(queries), features(EDITS), Router(), relation


def nce(positive: float, others: list[float]) -> float:
    total = math.exp(positive) + sum(math.exp(other) for other in others)
    return -math.log(math.exp(positive) / total)


def test_losses_equal_their_equations(batch) -> None:
    queries, edits, router, relation = batch
    router.prompt_bias.data.fill_(0)
    found = {name: value.item() for name, value in routing_losses(*batch).items()}
    scale, bias = 10.0, 0.0
    with torch.no_grad():
        router.vision_scale.fill_(scale)
    hard, sentinel, relative, strict, same, other = [], [], [], [], [], []
    rel, loc = [], []
    for q in range(len(relation.own)):
        own = int(relation.own[q])
        seen = [scale * float(queries.vision[q] @ edits.vision[e]) for e in range(EDITS)]
        asked = [scale * float(queries.prompt[q] @ edits.prompt[e]) + bias for e in range(EDITS)]
        threshold = scale * float(queries.vision[q] @ queries.sentinel[q])
        unseen = [seen[e] for e in range(EDITS) if relation.unseen[q, e]]
        sentinel.append(nce(threshold, unseen))
        passing = [e for e in range(EDITS) if seen[e] > threshold]
        total = sum(math.exp(asked[e]) for e in passing)
        weights = {e: math.exp(asked[e]) / total / (1 + math.exp(-asked[e])) for e in passing}
        if relation.seen[q] and not relation.strict[q]:
            rel.append(float(weights.get(own, 0) >= 0.5))
        else:
            loc.append(float(max(weights.values(), default=0) < 0.5))
        if relation.seen[q] and not relation.strict[q]:
            hard.append(nce(seen[own], [threshold, *unseen]))
        if relation.strict[q]:
            strict.append(-math.log(1 - 1 / (1 + math.exp(-asked[own]))))
        else:
            differently = [asked[e] for e in range(EDITS) if not relation.asked[q, e]]
            relative.append(nce(asked[own], differently))
        for e in range(EDITS):
            sigmoid = 1 / (1 + math.exp(-asked[e]))
            (same if relation.asked[q, e] else other).append(
                -math.log(sigmoid if relation.asked[q, e] else 1 - sigmoid)
            )

    def mean(values: list[float]) -> float:
        return sum(values) / len(values)

    expected = {
        "hard": mean(hard), "sentinel": mean(sentinel), "absolute": mean(same) + mean(other),
        "strict": mean(strict), "relative": mean(relative), "rel": mean(rel), "loc": mean(loc),
    }  # fmt: skip
    assert found == pytest.approx(expected, rel=1e-3)


def test_relation_of_real_corrections() -> None:
    some = list(islice(training_cases(), 40))
    edits = torch.arange(40)
    views = torch.arange(len(TAUGHT)).repeat_interleave(40)
    relation = Meanings(some).relation(edits, views)
    for q in range(len(views)):
        view, case = int(views[q]), some[q % 40]
        shown = case.strict_scene if view == OTHER_IMAGE else case.scene
        question = case.strict_question if view == OTHER_QUESTION else case.question
        for e, edit in enumerate(some):
            shares = bool(set(shown.concepts) & set(edit.scene.concepts))
            if view == OTHER_IMAGE and e == q % 40:
                assert relation.unseen[q, e]
            else:
                assert bool(relation.unseen[q, e]) == (not shares)
            assert bool(relation.asked[q, e]) == (question.meaning == edit.question.meaning)
