from pathlib import Path

import numpy as np

from liveedit.data.annotations.emoji import emoji_annotations
from liveedit.data.annotations.pictures import open_picture
from liveedit.data.emoji_edit.corrections import evaluation_set, validation_set
from liveedit.data.emoji_edit.families import FAMILY_BY_NAME
from liveedit.data.emoji_edit.scene import render


def test_rows_are_the_cases() -> None:
    cases = evaluation_set(30)
    rows = emoji_annotations("evaluation", 30)
    assert [row.row for row in rows] == list(range(30))
    for row, case in zip(rows, cases, strict=True):
        assert (row.image, row.prompt, row.target) == (case.scene, case.question.text, case.target)
        assert row.rephrased_prompt == case.rephrase.text
        assert row.rephrased_image == case.scene.redrawn() != row.image
        assert row.text_locality.question == case.fact.question
        assert row.text_locality.answer == case.fact.answer
        assert row.image_locality.image == case.other_scene
        assert row.image_locality.question == case.other_question.text
        assert row.concepts == set(case.scene.concepts)
        assert row.former_answer is None


def test_locality_answers_are_true_where_the_picture_says_them() -> None:
    rows = emoji_annotations("validation", 60)
    for row, case in zip(rows, validation_set(60), strict=True):
        family = FAMILY_BY_NAME[case.other_question.family]
        truth = family.truth(case.other_scene, case.other_question.thing)
        assert row.image_locality.answers == (() if truth is None else (truth,))
    assert {len(row.image_locality.answers) for row in rows} == {0, 1}


def test_no_more_than_the_split_has() -> None:
    assert len(emoji_annotations("validation", 10**6)) == len(validation_set())


def test_its_pictures_are_drawn() -> None:
    row = emoji_annotations("evaluation", 1)[0]
    drawn = open_picture(row.image, Path("no such folder"))
    assert np.array_equal(drawn, render(evaluation_set(1)[0].scene))
