"""Trials about pictures: saved anew, look-alikes, and which of two corrections holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from liveedit.benchmark.scope.trial import Numbered, Question, Trial
from liveedit.correction import Correction
from liveedit.data.emoji_edit.corrections import (
    EditCase,
    arranged,
    evaluation_set,
    names_of,
    validation_set,
)
from liveedit.data.emoji_edit.families import FAMILY_BY_NAME
from liveedit.data.emoji_edit.free_words import HeldBack
from liveedit.data.emoji_edit.scene import GROUND_COLOURS, SCENE_SIZE, Scene, render
from liveedit.data.emoji_edit.targets import MAKERS, PERSONS, PLACES
from liveedit.data.resaving import RESAVED, resaved_at_random

_SAVED, _GROUPS, _CONTRADICTED = 100, 100, 200
_ASKED = {"owner": PERSONS, "maker": MAKERS, "place": PLACES}


def cases_of(split: HeldBack) -> list[EditCase]:
    """emoji-edit's fixed corrections."""
    return evaluation_set() if split == "evaluation" else validation_set()


def correction_of(case: EditCase) -> Correction:
    """As people would state it."""
    return Correction(image=render(case.scene), prompt=case.question.text, target=case.target)


def numbered(cases: Sequence[EditCase]) -> list[Numbered]:
    """As people would state them, with their own numbers."""
    return [(case.index, correction_of(case)) for case in cases]


def saved_anew(split: HeldBack) -> Trial:
    """The corrected question about the corrected picture, as it comes back."""
    cases = cases_of(split)[:_SAVED]
    corrections = numbered(cases)
    return Trial(
        corrections=[corrections],
        questions=[
            Question(
                label=name, about=about, picture=change(one.image),
                prompt=one.prompt, target=one.target,
            )
            for about, one in corrections
            for name, change in {"as it was": _as_it_was, **RESAVED}.items()
            if isinstance(one.image, Image.Image)
        ],
    )  # fmt: skip


def look_alikes(split: HeldBack) -> Trial:
    """Groups of four: one drawing on other grounds, in other places, in other company."""
    random = np.random.default_rng((41, split == "evaluation"))
    names = names_of(split)
    corrections, questions = [], []
    for group in range(_GROUPS):
        kind = ("other grounds", "other places", "other company")[group % 3]
        family = list(_ASKED)[group % 2 if kind == "other company" else group // 3 % 3]
        asked = FAMILY_BY_NAME[family]
        prompt = asked.training[0]
        answers = random.choice(_ASKED[family], 4, replace=False)
        for scene, answer in zip(_four(kind, names, random), answers, strict=True):
            one = Correction(image=render(scene), prompt=prompt, target=str(answer))
            corrections.append((group, one))
            again = asked.evaluation[random.integers(len(asked.evaluation))]
            saved = resaved_at_random(render(scene), random)
            questions += [
                Question(label=label, about=group, picture=picture, prompt=words, target=one.target)
                for label, picture, words in (
                    (kind, one.image, prompt),
                    ("in other words", one.image, again),
                    ("saved anew", saved, prompt),
                )
            ]
    return Trial(corrections=[corrections], questions=questions)


def contradictions(split: HeldBack) -> Trial:
    """A second correction of the same picture, saved anew, in other words: it alone holds."""
    random = np.random.default_rng((42, split == "evaluation"))
    cases = cases_of(split)[-_CONTRADICTED:]
    before = [correction_of(case) for case in cases]
    targets = _other_targets(cases)
    after = [
        Correction(
            image=resaved_at_random(render(case.scene), random),
            prompt=case.rephrase.text if place % 2 else case.again.text,
            target=target,
        )
        for place, (case, target) in enumerate(zip(cases, targets, strict=True))
    ]
    return Trial(
        corrections=[list(enumerate(before)), list(enumerate(after))],
        questions=[
            Question(
                label=label, about=place, picture=of.image, prompt=of.prompt, target=later.target
            )
            for place, (first, later) in enumerate(zip(before, after, strict=True))
            for label, of in (("first question", first), ("later question", later))
        ],
    )


def _as_it_was(picture: Image.Image) -> Image.Image:
    return picture


def _four(kind: str, names: tuple[str, ...], random: np.random.Generator) -> list[Scene]:
    first = arranged((str(random.choice(names)),), random)
    if kind == "other grounds":
        grounds = random.choice(list(GROUND_COLOURS), 4, replace=False)
        return [replace(first, ground=str(ground)) for ground in grounds]
    (drawn,) = first.placements
    if kind == "other places":
        size = 96
        corners = [(x, y) for x in (64, SCENE_SIZE - 64) for y in (64, SCENE_SIZE - 64)]
        return [
            replace(first, placements=(replace(drawn, x=x, y=y, size=size),)) for x, y in corners
        ]
    others = random.choice([name for name in names if name != drawn.concept], 4, replace=False)
    pairs = [arranged((drawn.concept, str(other)), random) for other in others]
    return [replace(one, ground=first.ground, pattern=first.pattern) for one in pairs]


def _other_targets(cases: list[EditCase]) -> list[str]:
    """For each correction a target of the same kind that it does not have."""
    kinds: dict[str, list[str]] = {}
    for case in cases:
        known = kinds.setdefault(FAMILY_BY_NAME[case.question.family].answer_type, [])
        if case.target not in known:
            known.append(case.target)
    found = []
    for case in cases:
        choices = kinds[FAMILY_BY_NAME[case.question.family].answer_type]
        at = choices.index(case.target) + 1
        found.append(choices[at % len(choices)] if len(choices) > 1 else f"not {case.target}")
    return found
