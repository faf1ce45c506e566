"""Corrections with their views as examples for methods that are trained or calibrated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from liveedit.correction import Correction
from liveedit.data.emoji_edit.corrections import training_cases, validation_set
from liveedit.data.emoji_edit.knowledge import TextCase, text_cases, text_validation_set
from liveedit.data.views import Case, views_of
from liveedit.methods.shared.training.examples import Example

_TEXT_ONLY = 4  # one of so many training corrections is text-only
_CONCERNED = ("rephrase", "redrawn")
_UNCONCERNED = ("other image", "other question", "elsewhere")


def validation_examples(limit: int | None = None) -> list[Example]:
    """emoji-edit's validation corrections, with and without a picture.

    Args:
        limit: Only the first of each kind.
    """
    cases: Sequence[Case] = [*validation_set(limit), *text_validation_set()[:limit]]
    return list(_examples(cases))


def training_examples(count: int) -> list[Example]:
    """So many of emoji-edit's training corrections, a quarter of them without a picture."""
    texts = count // _TEXT_ONLY
    pictured = _examples(list(islice(training_cases(), count - texts)))
    return [*pictured, *_examples(list(islice(text_cases("train"), texts)))]


def _examples(cases: Sequence[Case]) -> Iterator[Example]:
    for case in cases:
        text_only = isinstance(case, TextCase)
        concerned = ("rephrase",) if text_only else _CONCERNED
        unconcerned = ("other question",) if text_only else _UNCONCERNED
        (image, prompt), *others = views_of(case, ("edit", *concerned, *unconcerned))
        yield Example(
            correction=Correction(image=image, prompt=prompt, target=case.target),
            concerned=others[: len(concerned)],
            unconcerned=others[len(concerned) :],
        )
