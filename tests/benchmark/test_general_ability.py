"""General ability: everything is asked twice, and only edits make a difference."""

from __future__ import annotations

import pytest

from liveedit.benchmark.general_ability import Skill, measure_general
from liveedit.benchmark.skills import built_in_skills
from liveedit.benchmark.suite import Suite
from liveedit.data.emoji_edit.scene import render

TOKENS = 4


@pytest.fixture
def suite(pictured, texts) -> Suite:
    return Suite(name="emoji-edit", pictured=pictured, texts=texts)


def test_skills_before_and_after(make_model, suite, pictured) -> None:
    model = make_model()
    questions = [(render(case.other_scene), case.other_question.text) for case in pictured]
    alone = [model.generate(*one, max_new_tokens=TOKENS) for one in questions]
    # three are answered rightly without edits
    answers = [*alone[:3], "certainly not this", "nor this"]
    skills = {
        "pictures": Skill(questions=questions, answers=answers, max_new_tokens=TOKENS),
        "words": Skill(
            questions=[(None, "Hello!"), (None, "Who?")], answers=None, max_new_tokens=TOKENS
        ),
    }
    found = measure_general(model, suite, skills, edits=4)
    assert (found["edits"], found["texts"]) == (4, 1)
    assert (found["method"], found["dataset"]) == ("liveedit", "emoji-edit")
    assert found["dtype"] == model.backbone.precision
    assert found["editing"] == model.method.describe()["editing"]
    assert len(model.edits) >= 1, "the edits are in force afterwards"
    assert found["before"].keys() == found["after"].keys() == {"pictures"}
    assert found["before"]["pictures"]["right"] == 3
    again = [model.generate(*one, max_new_tokens=TOKENS) for one in questions]
    right = sum(a == b for a, b in zip(again, answers, strict=True))
    assert found["after"]["pictures"]["right"] == right < 3, "every edit of this model is felt"
    same = sum(a == b for a, b in zip(again, alone, strict=True))
    assert found["unchanged"]["pictures"]["right"] == same
    assert found["unchanged"]["pictures"]["percent"] == 20 * same
    assert found["unchanged"]["words"]["n"] == 2


def test_edits_that_concern_nothing_leave_everything(make_model, suite) -> None:
    model = make_model(bias=-100.0)
    skill = Skill(questions=[(None, "Hello!")], answers=["no"], max_new_tokens=TOKENS)
    found = measure_general(model, suite, {"words": skill}, edits=2)
    assert found["unchanged"]["words"]["percent"] == 100
    assert found["before"] == found["after"]


def test_built_in_skills() -> None:
    skills = built_in_skills(30)
    assert list(skills) == ["easy-VQA test", "text-only answers"]
    pictures, words = skills.values()
    assert len(pictures.questions) == len(pictures.answers or ()) == len(words.questions) == 30
    assert all(image is not None for image, _ in pictures.questions)
    assert {"yes", "no"} < set(pictures.answers or ())
    assert all(image is None for image, _ in words.questions)
