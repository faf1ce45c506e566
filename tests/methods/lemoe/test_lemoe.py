"""Experts and routing against literal ones; what only a LEMoE that works does."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from liveedit.backbones.query import Questions
from liveedit.editor import EditedModel
from liveedit.errors import MethodCannot
from liveedit.methods.lemoe.batches import Member, next_expert
from liveedit.methods.lemoe.config import LemoeConfig
from liveedit.methods.lemoe.experts import Expert, adding, entering, learn, new_expert
from liveedit.methods.lemoe.method import Lemoe
from liveedit.methods.lemoe.routing import clusters_of, k_means
from liveedit.methods.shared.feed_forward.network import FeedForward, UpperPass
from tests.backbones.families import tiny
from tests.methods.samples import ASKED, FACT, OTHER, UNASKED, logits_of, plain_logits

SHARED = LemoeConfig(layer=1, per_expert=3, rate=0.05, steps=15, scope=0.9, remember=10.0)


def literal_means(keys: list[list[float]], count: int) -> list[list[float]]:
    """Spherical k-means with loops."""

    def dot(a, b):
        return sum(x * y for x, y in zip(a, b, strict=True))

    def unit(a):
        length = math.sqrt(dot(a, a))
        return [x / length for x in a]

    means = [keys[0]]
    while len(means) < count:
        near = [max(dot(key, mean) for mean in means) for key in keys]
        means.append(keys[near.index(min(near))])
    for _ in range(20):
        groups = [[] for _ in means]
        for key in keys:
            likes = [dot(key, mean) for mean in means]
            groups[likes.index(max(likes))].append(key)
        means = [
            unit([sum(column) for column in zip(*group, strict=True)]) if group else mean
            for group, mean in zip(groups, means, strict=True)
        ]
    return means


@pytest.mark.parametrize("seed", range(3))
def test_clusters_equal_literal_ones(seed: int) -> None:
    torch.manual_seed(seed)
    keys = F.normalize(torch.randn(12, 5), dim=1)
    torch.testing.assert_close(k_means(keys, 3), torch.tensor(literal_means(keys.tolist(), 3)))


def test_as_many_means_as_there_are_different_keys() -> None:
    keys = F.normalize(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), dim=1)
    assert k_means(keys, 5).tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_keys_of_a_frozen_expert_are_anchored() -> None:
    torch.manual_seed(0)
    keys = F.normalize(torch.randn(9, 6), dim=1)
    experts = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 1])
    sees = torch.ones(9, dtype=torch.bool)
    before = clusters_of(keys[:6], experts[:6], sees[:6], 2)
    after = clusters_of(keys, experts, sees, 2)
    own = [one.keys[one.experts == 0] for one in (before, after)]
    assert torch.equal(*own), "what is added to another expert moves none of its keys"
    assert not torch.equal(before.keys[before.experts == 1], after.keys[after.experts == 1])


def test_a_question_goes_to_the_nearest_key_of_its_kind_within_the_scope() -> None:
    keys = F.normalize(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1]]), dim=1)
    found = clusters_of(keys, torch.tensor([4, 7, 9]), torch.tensor([True, True, False]), 3)
    asked = F.normalize(torch.tensor([[1.0, 0.2], [0.2, 1.0], [1.0, 1.0], [1.0, 0.2]]), dim=1)
    sees = torch.tensor([True, True, True, False])
    assert found.nearest(asked, sees, 0.9).tolist() == [4, 7, -1, 9]
    assert found.nearest(asked, sees, -1.0).tolist()[2] in (4, 7), "all go to an expert"


def test_an_expert_is_a_feed_forward_network_beside_that_of_the_layer() -> None:
    torch.manual_seed(0)
    one = Expert(reads=torch.randn(4, 6), writes=torch.randn(4, 6))
    entered, left = torch.randn(2, 3, 6), torch.randn(2, 3, 6)
    where = torch.tensor([[False, True, True], [True, True, True]])
    changed = adding([one, None], where)(entered, left)
    assert torch.equal(changed[1], left[1])
    assert torch.equal(changed[0, 0], left[0, 0])
    for token in (1, 2):
        literal = left[0, token].clone()
        for read, write in zip(one.reads, one.writes, strict=True):
            literal += max(float(read @ entered[0, token]), 0.0) * write
        torch.testing.assert_close(changed[0, token], literal)
    assert not new_expert(4, 6, 0).added(entered).any(), "a new one adds nothing"


def test_an_edit_is_a_batch_until_that_is_full() -> None:
    def members(*numbers: int) -> list[Member]:
        key = torch.zeros(1)
        return [
            Member(id=str(at), key=key, sees=True, number=number)
            for at, number in enumerate(numbers)
        ]

    assert next_expert([], 2) == (0, [])
    assert next_expert(members(0), 2) == (0, ["0"])
    assert next_expert(members(0, 0), 2) == (1, [])
    assert next_expert(members(0, 0, 1), 2) == (1, ["2"])
    assert next_expert(members(0, 0, 1), 1) == (2, [])


def test_steps_are_adams_on_the_target_and_on_what_is_remembered(pictures) -> None:
    backbone = tiny("llava")
    network = FeedForward(backbone, 1, method="lemoe")
    batch = UpperPass(network, backbone.query([pictures[0]], [ASKED], ["a lynx"]))
    where = batch.where
    torch.manual_seed(0)
    shared, before = torch.randn(5, backbone.width), new_expert(4, backbone.width, 3)
    before = Expert(reads=before.reads, writes=0.1 * torch.randn(4, backbone.width))
    config = LemoeConfig(steps=3, rate=0.02, enough=1e-9, remember=0.7)
    found, steps = learn(before, batch, where, shared, config)
    assert steps == 3

    reads, writes = before.reads.clone().requires_grad_(), before.writes.clone().requires_grad_()
    optimiser = torch.optim.Adam([reads, writes], lr=0.02)
    kept = before.added(shared)
    for _ in range(3):
        optimiser.zero_grad()
        with torch.enable_grad():
            now = Expert(reads=reads, writes=writes)
            logits = batch.logits(adding([now], where))
            loss = -logits.log_softmax(-1).gather(1, batch.words[:, None]).mean()
            loss = loss + 0.7 * (now.added(shared) - kept).pow(2).sum() / 5
            loss.backward()
        optimiser.step()
    torch.testing.assert_close(found.reads, reads.detach(), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.writes, writes.detach(), atol=1e-5, rtol=1e-4)
    assert len(entering(batch)) == int(batch.keep.sum())


def model_of(config: LemoeConfig = SHARED, store=None) -> EditedModel:
    return EditedModel(Lemoe(tiny("llava"), config), store)


def likelihood(model: EditedModel, picture, target: str) -> float:
    asked = Questions(pictures=[picture], prompts=[ASKED], targets=[target])
    with torch.no_grad(), model.method.apply(asked, model.store.pool()) as query:
        logits = model.backbone.logits(query).log_softmax(-1)
    keep = query.spans.predicts
    return float(logits[keep].gather(1, query.input_ids.roll(-1, 1)[keep][:, None]).mean())


def test_those_that_share_an_expert_are_remembered(pictures) -> None:
    found = []
    for remember in (10.0, 0.0):
        model = model_of(SHARED.model_copy(update={"remember": remember}))
        for picture, target in zip(pictures, ("a lynx", "two owls", "a hen"), strict=True):
            model.edit(picture, ASKED, target, keep=True)
        found.append(likelihood(model, pictures[0], "a lynx"))
    assert found[0] > found[1] + 0.1


def test_a_full_expert_is_frozen(pictures) -> None:
    model = model_of(SHARED.model_copy(update={"per_expert": 1}))
    model.edit(pictures[0], ASKED, "a lynx", keep=True)
    own = logits_of(model, pictures[0], ASKED)
    assert not torch.equal(own, plain_logits(model, pictures[0], ASKED))
    for question, target in ((OTHER, "in a zoo"), (FACT, "Maria")):
        model.edit(None if question == FACT else pictures[1], question, target, keep=True)
    assert torch.equal(logits_of(model, pictures[0], ASKED), own)


def test_what_no_expert_is_near_to_is_bit_identical(pictures) -> None:
    model = model_of()
    model.edit(None, FACT, "Maria", keep=True)
    assert not torch.equal(logits_of(model, None, FACT), plain_logits(model, None, FACT))
    for picture, question in ((None, UNASKED), (pictures[0], FACT)):
        assert torch.equal(
            logits_of(model, picture, question), plain_logits(model, picture, question)
        )


@pytest.mark.parametrize("per_expert", [1, 2, 3])
def test_revoking_gives_what_would_be_without_it(pictures, per_expert) -> None:
    config = SHARED.model_copy(update={"per_expert": per_expert, "steps": 5})
    stated = [
        (picture, question, target)
        for picture, question, target in zip(
            (*pictures, pictures[0]), (ASKED, ASKED, OTHER, OTHER),
            ("a lynx", "two owls", "a hen", "in a zoo"), strict=True,
        )
    ]  # fmt: skip
    model, alone = model_of(config), model_of(config)
    made = [model.edit(*one, keep=True) for one in stated]
    model.revoke(made[1].id)
    for one in (stated[0], *stated[2:]):
        alone.edit(*one, keep=True)
    for picture, question, _ in stated:
        assert torch.equal(logits_of(model, picture, question), logits_of(alone, picture, question))
    for one in (made[0], *made[2:]):
        model.revoke(one.id)
    assert model.edits == ()
    for picture, question, _ in stated:
        assert torch.equal(
            logits_of(model, picture, question), plain_logits(model, picture, question)
        )


def test_restoring_where_each_has_an_expert_of_its_own(pictures) -> None:
    model = model_of(SHARED.model_copy(update={"per_expert": 1}))
    first = model.edit(pictures[0], ASKED, "a lynx", keep=True)
    before = logits_of(model, pictures[0], ASKED)
    model.revoke(first.id)
    model.edit(pictures[1], OTHER, "in a zoo", keep=True)  # made while the first is not in force
    model.restore(first.id)
    assert torch.equal(logits_of(model, pictures[0], ASKED), before)
    shared = model_of()
    gone = shared.edit(pictures[0], ASKED, "a lynx", keep=True)
    shared.revoke(gone.id)
    with pytest.raises(MethodCannot, match="put a revoked edit in force again"):
        shared.restore(gone.id)


def test_a_restart_gives_the_same_answers(pictures, tmp_path) -> None:
    model = model_of(store=tmp_path / "edits.db")
    for picture, target in zip(pictures, ("a lynx", "two owls", "a hen"), strict=True):
        model.edit(picture, ASKED, target, keep=True)
    edited = logits_of(model, pictures[1], ASKED)
    again = model_of(store=tmp_path / "edits.db")
    assert torch.equal(logits_of(again, pictures[1], ASKED), edited)


def test_a_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(MethodCannot, match="edit layer 99"):
        Lemoe(tiny("llava"), LemoeConfig(layer=99))
