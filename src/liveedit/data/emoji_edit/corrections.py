"""emoji-edit: counterfactual corrections about drawn scenes, made to measure, nothing downloaded.

Concepts, and with them scenes and targets, are split between training, validation and evaluation;
so are the text-only facts and the words of the rephrased questions. All is drawn from a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from liveedit.data.emoji_edit.concepts import (
    DRAWINGS,
    Concept,
    Split,
    all_concepts,
    concepts_by_name,
)
from liveedit.data.emoji_edit.facts import Fact, facts_of
from liveedit.data.emoji_edit.families import FAMILIES, FAMILY_BY_NAME, Family, pick_thing
from liveedit.data.emoji_edit.questions import Question, freely, two_phrasings
from liveedit.data.emoji_edit.scene import Scene, arrange
from liveedit.data.emoji_edit.targets import counterfactual

EVALUATION_SIZE = 2000
VALIDATION_SIZE = 400
_SEEDS: dict[Split, int] = {"train": 1, "validation": 2, "evaluation": 3}
_SPLIT_SEED = 20_260
_VALIDATION_CONCEPTS, _EVALUATION_CONCEPTS = 60, 280


# pairs of families of which one answer contains the other: an edit of one may answer the other
CONTAINED = [
    {"caption", other} for other in ("name", "left", "right", "middle", "beside", "ground")
]
# pairs of which one answer tells of the other (presence: of a thing in the picture): the truth of
# one may change with a correction of the other, though an edit of it does not answer it
_ENTAILED = [
    *CONTAINED,
    *({"presence", other} for other in ("name", "left", "right", "middle", "beside", "caption")),
    *({"category", other} for other in ("name", "caption", "use")),
    *({"side", other} for other in ("left", "right", "middle", "caption")),
    *({"beside", other} for other in ("left", "right")),
    *({"use", other} for other in ("name", "caption")),
]


@dataclass(frozen=True, kw_only=True)
class EditCase:
    """One correction with everything it is tested on.

    Args:
        index: Position in its split, the seed of the whole case.
        scene: What the corrected picture shows.
        question: The corrected question.
        target: The counterfactual answer the edit asks for.
        truth: What the picture really shows, None where it cannot say.
        rephrase: The question in other words (T-Gen).
        fact: A text-only question the language model can answer (T-Loc).
        other_scene: An unrelated scene, for M-Loc with ``other_question``.
        other_question: A question about ``other_scene``.
        strict_scene: Another scene for the corrected question (RI); in training one that shares
            some things with ``scene``, or has others of their kind.
        strict_question: Another question about the corrected scene (CI).
        again: The question in free words, as people type.
    """

    index: int
    scene: Scene
    question: Question
    target: str
    truth: str | None
    rephrase: Question
    fact: Fact
    other_scene: Scene
    other_question: Question
    strict_scene: Scene
    strict_question: Question
    again: Question


@cache
def concepts_of(split: Split) -> tuple[Concept, ...]:
    """The split's concepts; no two splits share one."""
    concepts = all_concepts()
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(concepts))
    ends = (_EVALUATION_CONCEPTS, _EVALUATION_CONCEPTS + _VALIDATION_CONCEPTS)
    chosen = {
        "evaluation": order[: ends[0]],
        "validation": order[ends[0] : ends[1]],
        "train": order[ends[1] :],
    }[split]
    return tuple(concepts[index] for index in sorted(chosen))


def evaluation_set(limit: int | None = None) -> list[EditCase]:
    """The fixed evaluation corrections; no two ask the same of the same things.

    More than 2,000 are there for edits that are in force beside them: nothing that the 2,000 are
    probed by asks what one of the others does, but their own probes may.
    """
    known = _fixed("evaluation", EVALUATION_SIZE)
    if limit is None or limit <= EVALUATION_SIZE:
        return known[:limit]
    return [*known, *_beside(limit - EVALUATION_SIZE)]


def validation_set(limit: int | None = None) -> list[EditCase]:
    """The fixed validation corrections, to choose settings on."""
    return _fixed("validation", VALIDATION_SIZE)[:limit]


def training_cases(*, start: int = 0) -> Iterator[EditCase]:
    """Training corrections without end, each from its own seed, in ever new words.

    The same may be asked of the same things again, about a fresh picture.
    """
    for index in range(start, 2**31):
        yield _with_probes("train", _Corrected.draw("train", index), frozenset())


@cache
def _fixed(split: Split, count: int) -> list[EditCase]:
    """The first corrections of a split that ask something new, their probes apart from them all.

    None of the questions for locality (RI, CI, M-Loc) asks what one of the corrections does, or
    what one of them entails.
    """
    drawn: dict[tuple[str, tuple[str, ...]], _Corrected] = {}
    for index in range(2**31):
        one = _Corrected.draw(split, index)
        drawn.setdefault((one.family.name, tuple(sorted(one.scene.concepts))), one)
        if len(drawn) == count:
            break
    taken = frozenset(about for one in drawn.values() for about in _changed_by(one))
    return [_with_probes(split, one, taken) for one in drawn.values()]


@cache
def _beside(count: int) -> list[EditCase]:
    """Evaluation corrections that ask something new, which none of the fixed ones' probes ask."""
    known = _fixed("evaluation", EVALUATION_SIZE)
    seen = {(one.question.family, tuple(sorted(one.scene.concepts))) for one in known}
    probed = {about for one in known for about in _probed_by(one)}
    drawn: list[EditCase] = []
    for index in range(known[-1].index + 1, 2**31):
        if len(drawn) == count:
            break
        one = _Corrected.draw("evaluation", index)
        asked = (one.family.name, tuple(sorted(one.scene.concepts)))
        if asked not in seen and probed.isdisjoint(_changed_by(one)):
            seen.add(asked)
            drawn.append(_with_probes("evaluation", one, frozenset()))
    return drawn


def _probed_by(case: EditCase) -> Iterator[_About]:
    """What a correction's questions for locality ask."""
    for question, scene in (
        (case.question, case.strict_scene),
        (case.strict_question, case.scene),
        (case.other_question, case.other_scene),
    ):
        yield question.family, question.thing, frozenset(scene.concepts)


# what a question asks of which things: family, the thing it names, the things in the picture
_About = tuple[str, str, frozenset[str]]


@dataclass(frozen=True, kw_only=True)
class _Corrected:
    """A correction without its probes."""

    index: int
    scene: Scene
    family: Family
    thing: str
    random: np.random.Generator

    @staticmethod
    def draw(split: Split, index: int) -> _Corrected:
        random = np.random.default_rng((_SEEDS[split], index))
        names = names_of(split)
        family = FAMILIES[random.integers(len(FAMILIES))]
        scene = draw_scene(names, family, random)
        thing = pick_thing(family, scene, names, random)
        return _Corrected(index=index, scene=scene, family=family, thing=thing, random=random)


def _changed_by(one: _Corrected) -> Iterator[_About]:
    """What a correction is about, and what it rightly may change, too."""
    things = frozenset(one.scene.concepts)
    yield one.family.name, one.thing, things
    for pair in _ENTAILED:
        if one.family.name in pair:
            (other,) = pair - {one.family.name}
            named = FAMILY_BY_NAME[other].names_thing
            for thing in things if named else ("",):
                yield other, thing, things


def _with_probes(split: Split, one: _Corrected, taken: frozenset[_About]) -> EditCase:
    names, scene, family, random = names_of(split), one.scene, one.family, one.random
    truth = family.truth(scene, one.thing)
    question, rephrase = two_phrasings(split, family, one.thing, random)
    facts = facts_of(split)
    return EditCase(
        index=one.index,
        scene=scene,
        question=question,
        target=counterfactual(family, scene, truth, names, random),
        truth=truth,
        rephrase=rephrase,
        fact=facts[random.integers(len(facts))],
        strict_scene=look_alike(names, family, scene, one.thing, random)
        if split == "train"
        else _strict_scene(names, family, scene, one.thing, taken, random),
        strict_question=_other_question(split, scene, family, names, taken, random),
        **unrelated(split, names, scene, taken, random),
        again=freely(split, family, one.thing, random),
    )


def names_of(split: Split) -> tuple[str, ...]:
    """Names of the concepts of a split."""
    return tuple(concept.name for concept in concepts_of(split))


def _free(
    draw: Callable[[], tuple[Scene, Family, str]], taken: frozenset[_About]
) -> tuple[Scene, Family, str]:
    """Draw until nothing that is taken is asked."""
    for _ in range(10_000):
        scene, family, thing = draw()
        if (family.name, thing, frozenset(scene.concepts)) not in taken:
            return scene, family, thing
    raise RuntimeError("the corrections of a split leave no question to ask beside them")


def draw_scene(names: tuple[str, ...], family: Family, random: np.random.Generator) -> Scene:
    """A scene that a question of the family can be asked about."""
    # single things are the commonest case in use; the more things, the rarer
    weights = np.array([{1: 0.6, 2: 0.3, 3: 0.1}[count] for count in family.counts])
    count = int(random.choice(family.counts, p=weights / weights.sum()))
    return arranged(tuple(str(n) for n in random.choice(names, count, replace=False)), random)


def arranged(things: tuple[str, ...], random: np.random.Generator) -> Scene:
    """The things in a row, all by one artist."""
    return arrange(things, (DRAWINGS[random.integers(2)],) * len(things), random)


def _strict_scene(
    names: tuple[str, ...],
    family: Family,
    scene: Scene,
    thing: str,
    taken: frozenset[_About],
    random: np.random.Generator,
) -> Scene:
    """Other things, as many as before; a thing the question names is there if it was before."""
    shown = {*scene.concepts, thing}
    others = [name for name in names if name not in shown]

    def draw() -> tuple[Scene, Family, str]:
        things = [str(n) for n in random.choice(others, len(scene.concepts), replace=False)]
        if thing in scene.concepts and family.name != "presence":
            things[random.integers(len(things))] = thing
        return arranged(tuple(things), random), family, thing

    return _free(draw, taken)[0]


def look_alike(
    names: tuple[str, ...], family: Family, scene: Scene, thing: str, random: np.random.Generator
) -> Scene:
    """For training: some things stay, some give way to others of their kind, some to any others."""
    while True:
        things = [
            name
            if (name == thing and family.name != "presence") or (draw := random.random()) < 0.35
            else str(random.choice(_of_its_kind(name, names) if draw < 0.7 else names))
            for name in scene.concepts
        ]
        if len(set(things)) == len(things) and set(things) != set(scene.concepts):
            order = random.permutation(len(things))
            return arranged(tuple(things[index] for index in order), random)


def _of_its_kind(name: str, names: tuple[str, ...]) -> tuple[str, ...]:
    concepts = concepts_by_name()
    kind = concepts[name].category
    return tuple(one for one in names if concepts[one].category == kind)


def unrelated(
    split: Split,
    names: tuple[str, ...],
    scene: Scene,
    taken: frozenset[_About],
    random: np.random.Generator,
) -> dict[str, Any]:
    """Another scene and a question about it, as fields of a correction."""
    shown = set(scene.concepts)
    others = tuple(name for name in names if name not in shown)

    def draw() -> tuple[Scene, Family, str]:
        family = FAMILIES[random.integers(len(FAMILIES))]
        other = draw_scene(others, family, random)
        return other, family, pick_thing(family, other, others, random)

    other, family, thing = _free(draw, taken)
    return {
        "other_scene": other,
        "other_question": two_phrasings(split, family, thing, random)[0],
    }


def _other_question(
    split: Split,
    scene: Scene,
    asked: Family,
    names: tuple[str, ...],
    taken: frozenset[_About],
    random: np.random.Generator,
) -> Question:
    families = [
        family
        for family in FAMILIES
        if len(scene.concepts) in family.counts
        and family.name != asked.name
        and {family.name, asked.name} not in CONTAINED
    ]

    def draw() -> tuple[Scene, Family, str]:
        family = families[random.integers(len(families))]
        return scene, family, pick_thing(family, scene, names, random)

    _, family, thing = _free(draw, taken)
    return two_phrasings(split, family, thing, random)[0]
