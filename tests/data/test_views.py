"""What each view of a correction shows and asks."""

import numpy as np

from liveedit.data.emoji_edit.scene import render
from liveedit.data.resaving import RESAVED
from liveedit.data.views import (
    EDIT,
    OTHER_IMAGE,
    OTHER_QUESTION,
    REDRAWN,
    REPHRASE,
    TAUGHT,
    TEXT_EDIT,
    TEXT_OTHER,
    TEXT_REPHRASE,
    TEXT_TAUGHT,
    TEXT_VIEWS,
    VIEWS,
    question_of,
    views_of,
)


def test_views_of_a_correction_with_a_picture(pictured) -> None:
    for case in pictured:
        expected = {
            "edit": (case.scene, case.question.text),
            "rephrase": (case.scene, case.rephrase.text),
            "redrawn": (case.scene.redrawn(), case.question.text),
            "other image": (case.strict_scene, case.question.text),
            "other question": (case.scene, case.strict_question.text),
            "elsewhere": (case.other_scene, case.other_question.text),
            "fact": (None, case.fact.question),
            "no image": (None, case.question.text),
            "free words": (case.scene, case.again.text),
        }
        saved_anew = {"met again", *(f"saved anew: {name}" for name in RESAVED)}
        assert expected.keys() | saved_anew == VIEWS.keys()
        for name, (image, question) in zip(expected, views_of(case, tuple(expected)), strict=True):
            scene, asked = expected[name]
            assert question == asked == question_of(case, name)
            assert (image is None) == (scene is None)
            if image is not None:
                assert np.array_equal(image, render(scene))


def test_views_of_a_text_only_correction(texts) -> None:
    for case in texts:
        expected = {
            "edit": case.question, "rephrase": case.rephrase, "other question": case.other_question
        }  # fmt: skip
        assert expected.keys() == TEXT_VIEWS.keys()
        assert views_of(case, tuple(expected)) == [(None, text) for text in expected.values()]
        assert [question_of(case, name) for name in expected] == list(expected.values())


def test_views_come_as_asked_for(pictured) -> None:
    names = ("other question", "edit", "other question")
    found = views_of(pictured[0], names)
    assert [question for _, question in found] == [question_of(pictured[0], n) for n in names]
    assert found[0][0] is found[1][0] is found[2][0], "an equal scene is drawn once"


def test_numbers_of_views() -> None:
    assert [TAUGHT[n] for n in (EDIT, REPHRASE, REDRAWN, OTHER_IMAGE, OTHER_QUESTION)] == [
        "edit", "rephrase", "redrawn", "other image", "other question",
    ]  # fmt: skip
    assert [TEXT_TAUGHT[number] for number in (TEXT_EDIT, TEXT_REPHRASE, TEXT_OTHER)] == [
        "edit", "rephrase", "other question",
    ]  # fmt: skip
