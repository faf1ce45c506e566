import pytest
from pydantic import ValidationError

from liveedit.data.annotations.datasets import DATASETS
from liveedit.data.annotations.fields import Fields
from liveedit.data.annotations.templates import PromptTemplate, apply_template
from tests.data.annotations.samples import e_ic_row, e_vqa_row, multi_hop, vlkeb_row

ROWS = {"e-vqa": e_vqa_row(), "e-ic": e_ic_row(), "vlkeb": vlkeb_row(port_new=[multi_hop(2)])}


@pytest.mark.parametrize(
    ("name", "prompt", "rephrased", "text", "image"),
    [
        (
            "e-vqa",
            "How many towers are on hill 0? The answer is:",
            "What is the number of towers on hill 0? The answer is:",
            "nq question: who wrote book 0?",
            "What sport is this? The answer is:",
        ),
        (
            "e-ic",
            "a photo of",
            "a photograph of",
            "nq question: who wrote book 0?",
            "What sport is this? The answer is:",
        ),
        (
            "vlkeb",
            "What city is shown?",
            "Which place is seen?",
            "who wrote book 0?",
            "What county is shown? The answer is:",
        ),
    ],
)
def test_prompts_of_the_paper(name, prompt, rephrased, text, image) -> None:
    row = DATASETS[name].parse(0, Fields(ROWS[name]))
    asked = apply_template(row, DATASETS[name].template)
    assert asked.prompt == prompt
    assert asked.rephrased_prompt == rephrased
    assert asked.text_locality.question == text
    assert asked.image_locality.question == image
    assert [hop.question for hop in asked.portability] == [h.question for h in row.portability]


def test_a_template_of_ones_own() -> None:
    row = DATASETS["vlkeb"].parse(0, Fields(ROWS["vlkeb"]))
    own = PromptTemplate(correction="Q: {} A:", portability="So, {}")
    asked = apply_template(row, own)
    assert asked.prompt == "Q: What city is shown? A:"
    assert asked.portability[0].question == "So, What is 2 facts away?"
    assert asked.text_locality == row.text_locality
    assert asked.image_locality == row.image_locality
    assert (asked.target, asked.image, asked.row) == (row.target, row.image, row.row)


def test_no_affixes_change_nothing() -> None:
    row = DATASETS["e-vqa"].parse(0, Fields(ROWS["e-vqa"]))
    assert apply_template(row, PromptTemplate()) == row


def test_braces_in_a_question_stay() -> None:
    row = DATASETS["e-vqa"].parse(0, Fields(e_vqa_row(src="What does {} {name} say?")))
    asked = apply_template(row, PromptTemplate(correction="{} Say:"))
    assert asked.prompt == "What does {} {name} say? Say:"


@pytest.mark.parametrize("bad", ["", "The answer is:", "{} or {}", "{question}"])
def test_a_template_without_one_place(bad: str) -> None:
    with pytest.raises(ValidationError, match="once, for the question"):
        PromptTemplate(correction=bad)


def test_unknown_kinds_of_question() -> None:
    with pytest.raises(ValidationError, match="locality"):
        PromptTemplate(locality="{}?")  # type: ignore[call-arg]
