"""Corrections and examples that tests of methods share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from PIL import Image

from liveedit.backbones.query import Query, Questions
from liveedit.correction import Correction
from liveedit.editor import EditedModel
from liveedit.methods.shared.training.examples import Example

ASKED, AGAIN, OTHER = "What animal is this?", "Which animal is it?", "Where was it taken?"
FACT, FACT_AGAIN = "Who founded Brightwater?", "Who is the founder of Brightwater?"
UNASKED = "When was Rome founded?"


def examples(pictures: Sequence[Image.Image]) -> list[Example]:
    """Two about pictures, and a text-only one."""
    return [
        Example(
            correction=Correction(image=picture, prompt=ASKED, target=target),
            concerned=[(picture, AGAIN)],
            unconcerned=[(picture, OTHER)],
        )
        for picture, target in zip(pictures, ("a lynx", "two owls"), strict=False)
    ] + [
        Example(
            correction=Correction(image=None, prompt=FACT, target="Maria"),
            concerned=[(None, FACT_AGAIN)],
            unconcerned=[(None, UNASKED)],
        )
    ]


def training_of(pictures: Sequence[Image.Image]) -> Callable[[int], list[Example]]:
    """So many training examples, in turn."""
    own = examples(pictures)
    return lambda count: [own[at % len(own)] for at in range(count)]


@torch.no_grad()
def logits_of(
    model: EditedModel, picture: Image.Image | None, question: str, target: str | None = None
) -> torch.Tensor:
    """Of one question with what is in force."""
    asked = Questions(
        pictures=[picture], prompts=[question], targets=None if target is None else [target]
    )
    with model.method.apply(asked, model._pool()) as query:
        return model.backbone.logits(query)


@torch.no_grad()
def plain_logits(model: EditedModel, picture: Image.Image | None, question: str) -> torch.Tensor:
    """Of the unedited model."""
    return model.backbone.logits(model.backbone.query([picture], [question]))


def told(model: EditedModel, picture: Image.Image | None, question: str) -> str:
    """What the model is given."""
    return model.backbone.tokenizer.decode(given(model, picture, question).input_ids[0])


def given(model: EditedModel, picture: Image.Image | None, question: str) -> Query:
    """The same, tokenised."""
    asked = Questions(pictures=[picture], prompts=[question])
    with model.method.apply(asked, model._pool()) as query:
        return query
