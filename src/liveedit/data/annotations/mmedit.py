"""E-VQA and E-IC: the two datasets of MMEdit, which share one format."""

from __future__ import annotations

from liveedit.correction import MAX_CHARACTERS
from liveedit.data.annotations.fields import Fields
from liveedit.data.annotations.record import Annotation, ImageLocality, TextLocality

# Every text locality question of MMEdit begins so. It belongs to the prompt, not to the question:
# the record is without it, and the datasets' prompt templates put it back.
NATURAL_QUESTIONS_PREFIX = "nq question: "


def parse_mmedit(row: int, fields: Fields) -> Annotation:
    """The row that these fields describe; what cannot be used is noted in ``fields``."""
    return Annotation(
        row=row,
        image=fields.picture("image"),
        prompt=fields.text("src"),
        target=fields.text("alt", limit=MAX_CHARACTERS["target"]),
        former_answer=fields.text("pred", may_be_empty=True),  # a model may have said nothing
        rephrased_prompt=fields.text("rephrase"),
        rephrased_image=fields.picture("image_rephrase"),
        text_locality=TextLocality(
            question=_question(fields),
            answer=fields.text("loc_ans"),
        ),
        image_locality=ImageLocality(
            image=fields.picture("m_loc"),
            question=fields.text("m_loc_q"),
            answers=fields.texts("m_loc_a"),
        ),
    )


def _question(fields: Fields) -> str:
    prompt = fields.text("loc")
    question = prompt.removeprefix(NATURAL_QUESTIONS_PREFIX.rstrip()).lstrip()
    return question or fields.reject("loc", "is empty but for its prefix")
