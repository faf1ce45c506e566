"""emoji-edit in the terms of the public benchmarks; a picture's identity is its scene."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from tqdm import tqdm

from liveedit.data.annotations.record import Annotation, ImageLocality, TextLocality
from liveedit.data.emoji_edit.concepts import Split
from liveedit.data.emoji_edit.corrections import (
    EVALUATION_SIZE,
    VALIDATION_SIZE,
    EditCase,
    evaluation_set,
    training_cases,
    validation_set,
)
from liveedit.data.emoji_edit.families import FAMILY_BY_NAME

TRAINING_SIZE = 5000  # training corrections never end; so many stand for them
_SIZES: dict[Split, int] = {
    "train": TRAINING_SIZE,
    "validation": VALIDATION_SIZE,
    "evaluation": EVALUATION_SIZE,
}


def emoji_annotations(split: Split, limit: int | None = None) -> list[Annotation]:
    """The first corrections of a split, by default as many as the split is taken to have."""
    size = _SIZES[split] if limit is None else min(limit, _SIZES[split])
    if split == "train":
        drawn: Iterator[EditCase] = islice(training_cases(), size)
    else:
        drawn = iter((evaluation_set if split == "evaluation" else validation_set)(size))
    bar = tqdm(drawn, total=size, desc=f"emoji-edit {split}", unit="correction", leave=False)
    return [_annotation(row, case) for row, case in enumerate(bar)]


def _annotation(row: int, case: EditCase) -> Annotation:
    other = case.other_question
    truth = FAMILY_BY_NAME[other.family].truth(case.other_scene, other.thing)
    return Annotation(
        row=row,
        image=case.scene,
        prompt=case.question.text,
        target=case.target,
        former_answer=None,
        rephrased_prompt=case.rephrase.text,
        rephrased_image=case.scene.redrawn(),
        text_locality=TextLocality(question=case.fact.question, answer=case.fact.answer),
        image_locality=ImageLocality(
            image=case.other_scene,
            question=other.text,
            answers=() if truth is None else (truth,),
        ),
        concepts=frozenset(case.scene.concepts),
    )
