"""Corrections are told behind the nearest demonstrations."""

import json
from dataclasses import replace

import pytest
import torch

from liveedit.editor import EditedModel
from liveedit.errors import BackboneMismatch, BadCheckpoint
from liveedit.methods.ike.config import IkeConfig
from liveedit.methods.ike.demonstrations import (
    FILE,
    Demonstration,
    Demonstrations,
    load_demonstrations,
    make_demonstrations,
)
from liveedit.methods.ike.method import Ike
from liveedit.methods.shared.sentence_encoder import encode_questions
from tests.backbones.families import tiny
from tests.methods.samples import (
    AGAIN,
    ASKED,
    FACT,
    FACT_AGAIN,
    OTHER,
    examples,
    logits_of,
    plain_logits,
    told,
    training_of,
)


@pytest.fixture(scope="module")
def folder(backbone, pictures, tmp_path_factory):
    return Ike.prepare(
        backbone,
        tmp_path_factory.mktemp("ike"),
        examples=examples(pictures),
        training=training_of(pictures),
        corrections=3,
    )


@pytest.fixture
def model(backbone, folder, pictures) -> EditedModel:
    model = EditedModel(Ike.load(backbone, folder))
    model.edit(pictures[0], ASKED, "a wolf", keep=True)
    model.edit(None, FACT, "Ines", keep=True)
    return model


def test_demonstrations_copy_update_and_retain(backbone, folder, pictures) -> None:
    pool = load_demonstrations(folder)
    assert sorted(one.kind for one in pool) == ["copy"] * 3 + ["retain"] * 3 + ["update"] * 3
    lynx = [one for one in pool if one.target == "a lynx"]
    assert {(one.kind, one.question) for one in lynx} == {
        ("copy", ASKED), ("update", AGAIN), ("retain", OTHER)
    }  # fmt: skip
    (kept,) = [one for one in lynx if one.kind == "retain"]
    said = backbone.generate(backbone.query([pictures[0]], [OTHER]), max_new_tokens=16)
    assert kept.answer == said[0].strip()
    assert all(one.answer == "a lynx" for one in lynx if one.kind != "retain")


def test_what_is_to_be_retained_never_asks_the_fact_itself(backbone, pictures) -> None:
    one = examples(pictures)[0]
    same = replace(one, unconcerned=[(pictures[1], ASKED), *one.unconcerned])
    alone = replace(one, unconcerned=[(pictures[1], ASKED)])
    made = make_demonstrations(backbone, [same, alone])
    assert [shown.question for shown in made if shown.kind == "retain"] == [OTHER]


def test_the_nearest_are_those_of_the_largest_cosine() -> None:
    facts = [
        ("Who wrote Emma?", "Ann"),
        ("What is on the mat?", "a cat"),
        ("Who wrote Ulysses?", "Li"),
    ]
    pool = [
        Demonstration(kind=kind, prompt=prompt, target=target, question=kind, answer=target)
        for prompt, target in facts
        for kind in ("copy", "update")
    ]
    found = Demonstrations(pool).nearest("Who wrote Ivanhoe?", "Bo", {"copy": 2, "update": 1})
    asked = encode_questions(["Who wrote Ivanhoe? Bo"])[0]
    cosine = {one: float(encode_questions([f"{one[0]} {one[1]}"])[0] @ asked) for one in facts}
    order = sorted(facts, key=cosine.__getitem__)
    assert [(one.prompt, one.target) for one in found] == [order[1], order[2], order[2]]
    assert sorted(one.kind for one in found[1:]) == ["copy", "update"]


def test_the_correction_is_the_last_fact_before_the_question(model, pictures) -> None:
    text = told(model, pictures[0], AGAIN)
    assert f"New Fact: {ASKED} a wolf\nPrompt: {AGAIN}" in text
    assert text.count("New Fact:") == 1 + 1 + 3 + 3  # of four retains there are three
    assert f"New Fact: {FACT} Ines\nPrompt: {FACT_AGAIN}" in told(model, None, FACT_AGAIN)
    for picture, question in ((pictures[0], OTHER), (pictures[1], AGAIN), (None, ASKED)):
        assert "New Fact" not in told(model, picture, question)
        plain = plain_logits(model, picture, question)
        assert torch.equal(logits_of(model, picture, question), plain)


def test_without_demonstrations_the_fact_alone_is_told(backbone, folder, pictures) -> None:
    config = IkeConfig(copies=0, updates=0, retains=0)
    model = EditedModel(Ike.load(backbone, folder, config))
    model.edit(pictures[0], ASKED, "a wolf", keep=True)
    assert told(model, pictures[0], AGAIN).count("New Fact:") == 1


def test_a_restart_tells_the_same_and_revoking_all_nothing(
    model, backbone, folder, pictures, tmp_path
) -> None:
    lasting = EditedModel(Ike.load(backbone, folder), tmp_path / "edits.db")
    made = [
        lasting.edit(pictures[0], ASKED, "a wolf", keep=True),
        lasting.edit(None, FACT, "Ines", keep=True),
    ]
    again = EditedModel(Ike.load(backbone, folder), tmp_path / "edits.db")
    for picture, question in ((pictures[0], AGAIN), (None, FACT_AGAIN)):
        before = logits_of(model, picture, question)
        assert torch.equal(logits_of(again, picture, question), before)
    for one in made:
        again.revoke(one.id)
    for picture, question in ((pictures[0], AGAIN), (None, FACT_AGAIN)):
        plain = plain_logits(model, picture, question)
        assert torch.equal(logits_of(again, picture, question), plain)


def test_a_saved_method_is_the_same(backbone, folder, tmp_path) -> None:
    one = Ike.load(backbone, folder)
    one.save(tmp_path / "again")
    assert Ike.load(backbone, tmp_path / "again").learned == one.learned


def test_what_it_needs_is_asked_for(backbone, folder, pictures, tmp_path) -> None:
    with pytest.raises(BadCheckpoint, match="liveedit train --method ike --model"):
        Ike.load(backbone)
    with pytest.raises(BackboneMismatch):
        Ike.load(tiny("llava_next"), folder)
    with pytest.raises(ValueError, match="training corrections"):
        Ike.prepare(backbone, tmp_path, examples=examples(pictures))
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        IkeConfig(copies=-1)
    Ike.load(backbone, folder).save(tmp_path / "broken")
    for content in ("{", "[]", json.dumps([{"kind": "other"}])):
        (tmp_path / "broken" / FILE).write_text(content)
        with pytest.raises(BadCheckpoint, match="cannot be read"):
            Ike.load(backbone, tmp_path / "broken")
