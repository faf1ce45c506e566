"""What is put around a question before a model is asked."""

from __future__ import annotations

from dataclasses import replace

from pydantic import field_validator

from liveedit.config import Config
from liveedit.data.annotations.record import Annotation

_PLACE = "{}"


class PromptTemplate(Config):
    """Affixes for each kind of question; ``{}`` stands for the question.

    Args:
        correction: Around the corrected question, and around it in other words.
        text_locality: Around questions without a picture.
        image_locality: Around questions about unrelated pictures.
        portability: Around questions that follow from the correction.
    """

    correction: str = _PLACE
    text_locality: str = _PLACE
    image_locality: str = _PLACE
    portability: str = _PLACE

    @field_validator("*")
    @classmethod
    def _has_one_place(cls, template: str) -> str:
        if template.count(_PLACE) != 1:
            raise ValueError(f"{template!r} should hold {_PLACE} once, for the question")
        return template


def apply_template(annotation: Annotation, template: PromptTemplate) -> Annotation:
    """The row with every question in its affixes."""

    def put(affixes: str, question: str) -> str:  # not str.format: braces of a question stay
        return affixes.replace(_PLACE, question)

    text, image = annotation.text_locality, annotation.image_locality
    return replace(
        annotation,
        prompt=put(template.correction, annotation.prompt),
        rephrased_prompt=put(template.correction, annotation.rephrased_prompt),
        text_locality=replace(text, question=put(template.text_locality, text.question)),
        image_locality=replace(image, question=put(template.image_locality, image.question)),
        portability=tuple(
            replace(hop, question=put(template.portability, hop.question))
            for hop in annotation.portability
        ),
    )
