"""Trials about words: free wordings, long texts before the question, other questions."""

from __future__ import annotations

from PIL import Image

from liveedit.benchmark.scope.pictures import cases_of, correction_of, numbered
from liveedit.benchmark.scope.trial import Question, Trial
from liveedit.data.emoji_edit.corrections import EditCase
from liveedit.data.emoji_edit.families import FAMILIES
from liveedit.data.emoji_edit.free_words import (
    HeldBack,
    free_wordings,
    general_questions,
    long_texts,
    other_questions,
)
from liveedit.data.emoji_edit.scene import render

_AFTER_TEXT = 100


def in_free_words(split: HeldBack) -> Trial:
    """Each free wording of a family is asked of a correction of its own."""
    cases = cases_of(split)
    corrections, questions = [], []
    for family in FAMILIES:
        of_family = [case for case in cases if case.question.family == family.name]
        for case, words in zip(of_family, free_wordings(family.name, split), strict=False):
            one = correction_of(case)
            corrections.append((case.index, one))
            questions.append(
                Question(
                    label="free wording",
                    about=case.index,
                    picture=_shown(case),
                    prompt=words.replace("{thing}", case.question.thing),
                    target=one.target,
                )
            )
    return Trial(corrections=[corrections], questions=questions)


def after_long_text(split: HeldBack) -> Trial:
    """The corrected question after 2,000 characters about something else."""
    texts = long_texts(split)
    cases = cases_of(split)[:_AFTER_TEXT]
    return Trial(
        corrections=[numbered(cases)],
        questions=[
            Question(
                label="after 2,000 characters",
                about=case.index,
                picture=_shown(case),
                prompt=f"{texts[place % len(texts)].strip()}\n\n{case.question.text}",
                target=case.target,
            )
            for place, case in enumerate(cases)
        ],
    )


def other_things_asked(split: HeldBack) -> Trial:
    """Free questions about something else on corrected pictures, and without a picture."""
    asked = other_questions(split)
    single = [case for case in cases_of(split) if len(case.scene.concepts) == 1][: len(asked)]
    return Trial(
        corrections=[[(place, correction_of(case)) for place, case in enumerate(single)]],
        questions=[
            Question(
                label="about a corrected picture",
                about=place,
                picture=_shown(case),
                prompt=words,
                target=None,
            )
            for place, (case, words) in enumerate(zip(single, asked, strict=False))
        ]
        + [
            Question(
                label="without a picture", about=-1 - place, picture=None, prompt=words, target=None
            )
            for place, words in enumerate(general_questions(split))
        ],
    )


def _shown(case: EditCase) -> Image.Image:
    return render(case.scene)
