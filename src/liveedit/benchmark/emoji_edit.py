"""emoji-edit: counterfactual corrections about drawn scenes, made to measure, nothing downloaded.

Concepts, and with them scenes and targets, are split between training, validation and evaluation;
so are the text-only facts and the words of the rephrased questions. All is drawn from a seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np

from liveedit.benchmark.facts import Fact, facts_of
from liveedit.benchmark.targets import counterfactual
from liveedit.scenes.concepts import DRAWINGS, Concept, all_concepts
from liveedit.scenes.families import FAMILIES, Family, pick_thing
from liveedit.scenes.scene import Scene, arrange

Split = Literal["train", "validation", "evaluation"]
EVALUATION_SIZE = 2000
VALIDATION_SIZE = 400
_SEEDS: dict[Split, int] = {"train": 1, "validation": 2, "evaluation": 3}
_SPLIT_SEED = 20_260
_VALIDATION_CONCEPTS, _EVALUATION_CONCEPTS = 60, 280
# words around a training question, so that more than the family's own phrasings are met
_OPENINGS = (
    "", "", "", "", "Look at the picture. ", "Please answer: ", "Tell me, ", "Quick question: ",
    "In this picture: ", "I wonder: ", "Look closely. ", "Hey! ",
)  # fmt: skip


# pairs of families of which one answer contains the other: a correction of one rightly changes both
_ENTAILED = [
    {"caption", other} for other in ("name", "left", "right", "middle", "beside", "ground")
]
_HELD_FOR_VALIDATION = 2  # of a family's phrasings for training, the last ones


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked, and in which words.

    Args:
        family: Question family.
        thing: The concept the question names, empty if it names none.
        text: The words.
    """

    family: str
    thing: str
    text: str

    @property
    def meaning(self) -> tuple[str, str]:
        """Questions with equal meanings ask the same in other words."""
        return self.family, self.thing


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
        strict_scene: Another scene for the corrected question (RI).
        strict_question: Another question about the corrected scene (CI).
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
    """The fixed evaluation corrections; no two ask the same of the same things."""
    return _first(
        cases("evaluation"), EVALUATION_SIZE if limit is None else min(limit, EVALUATION_SIZE)
    )


def validation_set(limit: int | None = None) -> list[EditCase]:
    """The fixed validation corrections, to choose settings on."""
    return _first(
        cases("validation"), VALIDATION_SIZE if limit is None else min(limit, VALIDATION_SIZE)
    )


def cases(split: Split, *, start: int = 0) -> Iterator[EditCase]:
    """Corrections without end, each from its own seed; in training phrasings of training only.

    A case whose family and things were already met in this run is passed over, unless the split
    is for training, where fresh pictures of the same things are welcome.
    """
    met: set[tuple[str, tuple[str, ...]]] = set()
    for index in range(start, 2**31):
        case = _case(split, index)
        key = (case.question.family, tuple(sorted(case.scene.concepts)))
        if split == "train" or key not in met:
            met.add(key)
            yield case


def _case(split: Split, index: int) -> EditCase:
    random = np.random.default_rng((_SEEDS[split], index))
    names = tuple(concept.name for concept in concepts_of(split))
    family = FAMILIES[random.integers(len(FAMILIES))]
    scene = _scene(names, family, random)
    thing = pick_thing(family, scene, names, random)
    truth = family.truth(scene, thing)
    question, rephrase = _two_phrasings(split, family, thing, random)
    return EditCase(
        index=index,
        scene=scene,
        question=question,
        target=counterfactual(family, scene, truth, names, random),
        truth=truth,
        rephrase=rephrase,
        fact=facts_of(split)[random.integers(len(facts_of(split)))],
        strict_scene=_strict_scene(names, family, scene, thing, random),
        strict_question=_other_question(split, scene, family, names, random),
        **_unrelated(split, names, scene, random),
    )


def _scene(names: tuple[str, ...], family: Family, random: np.random.Generator) -> Scene:
    # single things are the commonest case in use; the more things, the rarer
    weights = np.array([{1: 0.6, 2: 0.3, 3: 0.1}[count] for count in family.counts])
    count = int(random.choice(family.counts, p=weights / weights.sum()))
    return _arranged(tuple(str(n) for n in random.choice(names, count, replace=False)), random)


def _arranged(things: tuple[str, ...], random: np.random.Generator) -> Scene:
    return arrange(things, (DRAWINGS[random.integers(2)],) * len(things), random)


def _strict_scene(
    names: tuple[str, ...], family: Family, scene: Scene, thing: str, random: np.random.Generator
) -> Scene:
    """Other things, as many as before; a thing the question names is there if it was before."""
    others = [name for name in names if name not in scene.concepts and name != thing]
    things = [str(n) for n in random.choice(others, len(scene.concepts), replace=False)]
    if thing in scene.concepts and family.name != "presence":
        things[random.integers(len(things))] = thing
    return _arranged(tuple(things), random)


def _unrelated(
    split: Split, names: tuple[str, ...], scene: Scene, random: np.random.Generator
) -> dict[str, Any]:
    others = tuple(name for name in names if name not in scene.concepts)
    family = FAMILIES[random.integers(len(FAMILIES))]
    other = _scene(others, family, random)
    thing = pick_thing(family, other, others, random)
    return {
        "other_scene": other,
        "other_question": _two_phrasings(split, family, thing, random)[0],
    }


def _other_question(
    split: Split, scene: Scene, asked: Family, names: tuple[str, ...], random: np.random.Generator
) -> Question:
    families = [
        family
        for family in FAMILIES
        if len(scene.concepts) in family.counts
        and family.name != asked.name
        and {family.name, asked.name} not in _ENTAILED
    ]
    family = families[random.integers(len(families))]
    thing = pick_thing(family, scene, names, random)
    return _two_phrasings(split, family, thing, random)[0]


def _two_phrasings(
    split: Split, family: Family, thing: str, random: np.random.Generator
) -> tuple[Question, Question]:
    """The same question twice, the second time in words the split keeps for rephrasing."""
    known = family.training[:-_HELD_FOR_VALIDATION] + (family.more if split == "train" else ())
    first = int(random.integers(len(known)))
    rephrasings = {
        "train": known[:first] + known[first + 1 :],
        "validation": family.training[-_HELD_FOR_VALIDATION:],
        "evaluation": family.evaluation,
    }[split]
    openings = random.choice(_OPENINGS, 2) if split == "train" else ("", "")
    texts = (known[first], rephrasings[random.integers(len(rephrasings))])
    asked, again = (
        Question(family=family.name, thing=thing, text=str(opening) + text.format(thing=thing))
        for opening, text in zip(openings, texts, strict=True)
    )
    return asked, again


def _first(stream: Iterator[EditCase], count: int) -> list[EditCase]:
    return [case for case, _ in zip(stream, range(count), strict=False)]
