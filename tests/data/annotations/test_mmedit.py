from pathlib import PurePosixPath

import pytest

from liveedit.data.annotations.fields import Fields
from liveedit.data.annotations.mmedit import parse_mmedit
from liveedit.data.annotations.record import Annotation, ImageLocality, TextLocality
from tests.data.annotations.samples import e_ic_row, e_vqa_row


def parsed(row: dict) -> Annotation:
    fields = Fields(row)
    annotation = parse_mmedit(7, fields)
    assert fields.problems == []
    return annotation


def test_every_field_has_its_place() -> None:
    assert parsed(e_vqa_row(3)) == Annotation(
        row=7,
        image=PurePosixPath("val2014/COCO_val2014_000000000003.jpg"),
        prompt="How many towers are on hill 3?",
        target="2",
        former_answer="no",
        rephrased_prompt="What is the number of towers on hill 3?",
        rephrased_image=PurePosixPath("val2014_image_rephrase/3_COCO_val2014_000000000003.png"),
        text_locality=TextLocality(question="who wrote book 3", answer="Somebody"),
        image_locality=ImageLocality(
            image=PurePosixPath("val2014/COCO_val2014_000000900003.jpg"),
            question="What sport is this?",
            answers=("curling",),
        ),
    )


def test_answers_in_a_list() -> None:
    assert parsed(e_vqa_row(m_loc_a=["curling", "ice sport"])).image_locality.answers == (
        "curling",
        "ice sport",
    )


def test_white_space_around_captions_goes_and_lines_within_stay() -> None:
    row = parsed(e_ic_row(alt=" Boats in a bay.\n", rephrase='"How many?"\n\nRewritten as:'))
    assert row.target == "Boats in a bay."
    assert row.rephrased_prompt == '"How many?"\n\nRewritten as:'


def test_the_prefix_is_taken_off_once_and_only_at_the_start() -> None:
    text = "nq question: what is an nq question: explained"
    assert parsed(e_vqa_row(loc=text)).text_locality.question == (
        "what is an nq question: explained"
    )
    assert parsed(e_vqa_row(loc="who wrote it")).text_locality.question == "who wrote it"


def test_a_model_may_have_said_nothing_before() -> None:
    assert parsed(e_vqa_row(pred="")).former_answer == ""


@pytest.mark.parametrize("question", ["nq question: ", "nq question:", "  "])
def test_no_question_but_the_prefix(question: str) -> None:
    fields = Fields(e_vqa_row(loc=question))
    parse_mmedit(0, fields)
    assert len(fields.problems) == 1
    assert "'loc' is empty" in fields.problems[0]
