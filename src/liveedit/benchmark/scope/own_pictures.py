"""Trials about pictures of a dataset: saved anew, another photograph, several of one thing.

Unlike the other trials, which are drawn, these take the corrections of photo-edit, of a public
benchmark or of a file, in consecutive groups of N that are in force together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

import numpy as np

from liveedit.benchmark.scope.trial import Numbered, Question, Trial
from liveedit.correction import Correction
from liveedit.data.chance import any_of
from liveedit.data.emoji_edit.families import FAMILY_BY_NAME
from liveedit.data.emoji_edit.targets import PERSONS
from liveedit.data.photo_edit.corrections import PhotoCase
from liveedit.data.photo_edit.folder import PhotoFolder
from liveedit.data.photo_edit.photo import Photo
from liveedit.data.resaving import MIRRORED, RESAVED, Resaved
from liveedit.data.views import Case, seen, views_of
from liveedit.errors import BadAnnotations

OWN_TRIALS = ("saved-anew", "free-wordings", "another-photograph", "several-of-a-thing")

_SEED = 45
_OF_ONE_THING = 3  # photographs, each with an owner of its own

_AS_IT_WAS = "as it was"

Groups = Iterator[Trial]
_Case = TypeVar("_Case", bound=Case)


def saved_anew(cases: Sequence[Case], edits: int) -> Groups:
    """Each corrected question about the corrected picture, as it comes back.

    Args:
        cases: Corrections with a picture.
        edits: How many are in force together.
    """
    for some in _groups(cases, edits):
        questions: list[Question] = []
        for case in some:
            picture, prompt = seen(case, "edit")
            questions += [
                Question(
                    label=label, about=_about(case), prompt=prompt, target=case.target,
                    picture=picture if label == _AS_IT_WAS else Resaved(picture, (label,)),
                )
                for label in (_AS_IT_WAS, *RESAVED, MIRRORED)
            ]  # fmt: skip
        yield Trial(corrections=[_corrections(some)], questions=questions)


def another_photograph(cases: Sequence[PhotoCase], folder: PhotoFolder, edits: int) -> Groups:
    """Each corrected question about every other photograph of the thing.

    Raises:
        BadAnnotations: No thing has another.
    """
    if not any(case.scene.another for case in cases):
        raise BadAnnotations(
            f"no class of {folder.root} has a second photograph, so there is no other one to ask "
            "about; leave this suite out, or add photographs"
        )
    for some in _groups(cases, edits):
        yield Trial(
            corrections=[_corrections(some)],
            questions=[
                Question(
                    label="another photograph", about=_about(case), prompt=case.question.text,
                    target=case.target, picture=Photo(file=file, thing=case.scene.thing),
                )
                for case in some
                for file in folder.classes[case.scene.thing]
                if file != case.scene.file
            ],
        )  # fmt: skip


def in_free_words(cases: Sequence[PhotoCase], edits: int) -> Groups:
    """Each correction asked about as people type."""
    for some in _groups(cases, edits):
        yield Trial(
            corrections=[_corrections(some)],
            questions=[
                Question(
                    label="free wording", about=_about(case), picture=case.scene,
                    prompt=case.again.text, target=case.target,
                )
                for case in some
            ],
        )  # fmt: skip


def several_of_a_thing(cases: Sequence[PhotoCase], folder: PhotoFolder, edits: int) -> Groups:
    """Photographs of one thing, one question, to each its own answer: the very picture decides.

    Raises:
        BadAnnotations: No thing has several photographs.
    """
    things = [
        thing
        for thing in dict.fromkeys(case.scene.thing for case in cases)
        if len(folder.classes[thing]) > 1
    ]
    if not things:
        raise BadAnnotations(
            f"no class of {folder.root} has several photographs; leave this suite out, or add some"
        )
    random = np.random.default_rng(_SEED)
    owner = FAMILY_BY_NAME["owner"]
    prompt = owner.training[0]
    together = max(1, edits // _OF_ONE_THING)
    for start in range(0, len(things), together):
        owned = [
            (thing, file, str(name))
            for thing in things[start : start + together]
            for file, name in zip(
                folder.classes[thing], random.permutation(PERSONS)[:_OF_ONE_THING], strict=False
            )
        ]
        yield Trial(
            corrections=[
                [
                    (_number(thing), Correction.checked(file, prompt, name))
                    for thing, file, name in owned
                ]
            ],
            questions=[
                Question(
                    label=label, about=_number(thing), prompt=words, target=name,
                    picture=Photo(file=file, thing=thing),
                )
                for thing, file, name in owned
                for label, words in (
                    ("own words", prompt), ("rephrased", any_of(owner.evaluation, random))
                )
            ],
        )  # fmt: skip


def own_trials(
    cases: Sequence[Case], folder: PhotoFolder | None, edits: int
) -> Mapping[str, Callable[[], Groups]]:
    """Those that fit the corrections, by name.

    Args:
        cases: Corrections with a picture.
        folder: Their photographs by class, if they are photo-edit's.
        edits: How many are in force together.
    """
    found: dict[str, Callable[[], Groups]] = {"saved-anew": lambda: saved_anew(cases, edits)}
    photographs = [case for case in cases if isinstance(case, PhotoCase)]
    if folder is not None:
        found |= {
            "free-wordings": lambda: in_free_words(photographs, edits),
            "another-photograph": lambda: another_photograph(photographs, folder, edits),
            "several-of-a-thing": lambda: several_of_a_thing(photographs, folder, edits),
        }
    return MappingProxyType(found)


def _groups(cases: Sequence[_Case], edits: int) -> Iterator[Sequence[_Case]]:
    for start in range(0, len(cases), edits):
        yield cases[start : start + edits]


def _corrections(cases: Sequence[Case]) -> list[Numbered]:
    found = []
    for case in cases:
        image, prompt = views_of(case, ("edit",))[0]
        one = Correction(image=image, prompt=prompt, target=case.target)
        found.append((_about(case), one))
    return found


def _about(case: Case) -> int:
    """Corrections about one thing are resampled together."""
    return _number(case.scene.thing) if isinstance(case, PhotoCase) else case.index


def _number(thing: str) -> int:
    return int.from_bytes(hashlib.blake2b(thing.encode(), digest_size=6).digest(), "big")
