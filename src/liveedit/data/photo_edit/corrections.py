"""Corrections about photographs: the thing's name, and made-up facts about it.

Each class is in one split, by a digest of its name, whatever folder it is in. In validation and
evaluation a class has corrections of three families of five, so that the same questions about
look-alikes, and other questions about the same photograph, are left for strict probes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from liveedit.data.chance import any_of
from liveedit.data.emoji_edit.concepts import Split
from liveedit.data.emoji_edit.facts import Fact, facts_of
from liveedit.data.emoji_edit.families import FAMILY_BY_NAME, Family
from liveedit.data.emoji_edit.neighbours import GROUP, met_again, neighbour_words
from liveedit.data.emoji_edit.questions import Question, freely, two_phrasings
from liveedit.data.emoji_edit.relations import picture_relations
from liveedit.data.emoji_edit.scene import Scene
from liveedit.data.emoji_edit.targets import invented
from liveedit.data.photo_edit.folder import PhotoFolder
from liveedit.data.photo_edit.photo import Photo
from liveedit.errors import BadAnnotations

FAMILIES = tuple(FAMILY_BY_NAME[name] for name in ("name", "owner", "maker", "price", "place"))
_CORRECTED = 3  # families of a class in validation and evaluation
_NEAREST = 3  # classes of which one gives the look-alike
_SHARES = {"evaluation": 0.35, "validation": 0.15}  # of the classes; training has the rest
_SEEDS: Mapping[Split, int] = {"train": 51, "validation": 52, "evaluation": 53}

Near = Mapping[str, Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class PhotoCase:
    """One correction with everything it is tested on: an `EditCase` about photographs.

    Args:
        index: Position in its split.
        scene: The corrected photograph.
        question: The corrected question.
        target: The counterfactual answer the edit asks for.
        truth: What the photograph really shows, None where it cannot say.
        rephrase: The question in other words (T-Gen).
        fact: A text-only question (T-Loc).
        other_scene: A photograph of another thing, for M-Loc with ``other_question``.
        other_question: A question about it.
        strict_scene: A look-alike for the corrected question (RI); a drawing where a file of
            corrections asks the same about all its pictures.
        strict_question: Another question about the corrected photograph (CI).
        again: The question in free words, as people type.
    """

    index: int
    scene: Photo
    question: Question
    target: str
    truth: str | None
    rephrase: Question
    fact: Fact
    other_scene: Photo | Scene
    other_question: Question
    strict_scene: Photo | Scene
    strict_question: Question
    again: Question


def split_of(thing: str) -> Split:
    """The split that a class belongs to."""
    digest = hashlib.blake2b(thing.encode(), digest_size=8).digest()
    place = int.from_bytes(digest, "big") / 2**64
    if place < _SHARES["evaluation"]:
        return "evaluation"
    return "validation" if place < sum(_SHARES.values()) else "train"


def photo_set(
    folder: PhotoFolder, split: Split, *, near: Near | None = None, limit: int | None = None
) -> list[PhotoCase]:
    """The fixed corrections of a split.

    Args:
        folder: Photographs by class.
        split: ``validation`` to choose settings on, or ``evaluation``.
        near: For each class the classes that are most like it, the nearest first; look-alikes are
            drawn from the first few. Any other class by default.
        limit: Only the first ones.

    Raises:
        BadAnnotations: The folder has too few classes of this split.
    """
    drawing = _Drawing(folder, split, near)
    order = np.random.default_rng(_SEEDS[split])
    # dealt in turn: two of every five classes are left for the look-alikes of a family
    families = {
        drawing.things[thing]: [
            FAMILIES[(2 * place + at) % len(FAMILIES)] for at in range(_CORRECTED)
        ]
        for place, thing in enumerate(order.permutation(len(drawing.things)))
    }
    corrected = frozenset((f.name, thing) for thing, some in families.items() for f in some)
    about = [(thing, family) for thing in drawing.things for family in families[thing]]
    chosen = [about[at] for at in order.permutation(len(about))[:limit]]
    return [
        drawing.case(index, thing, family, corrected)
        for index, (thing, family) in enumerate(chosen)
    ]


def photo_training_cases(
    folder: PhotoFolder, *, near: Near | None = None, start: int = 0
) -> Iterator[PhotoCase]:
    """Training corrections without end, in groups of neighbours.

    A group is three facts about one photograph, and the first about a look-alike.

    Args:
        folder: Photographs by class; those of the training classes are used.
        near: See :func:`photo_set`.
        start: The first group.

    Raises:
        BadAnnotations: The folder has too few classes of this split.
    """
    drawing = _Drawing(folder, "train", near)
    for number in range(start, 2**31):
        yield from drawing.group(number)


class _Drawing:
    """Draws corrections from the classes of a split."""

    def __init__(self, folder: PhotoFolder, split: Split, near: Near | None) -> None:
        self.things = tuple(thing for thing in folder.classes if split_of(thing) == split)
        if len(self.things) < 2:
            raise BadAnnotations(
                f"{folder.root} has {len(self.things)} classes of the {split} split (a digest of "
                f"its name puts a class into a split), of {len(folder.classes)} in all; two are "
                "the least: add photographs of more things"
            )
        self.folder, self.split = folder, split
        known = set(self.things)
        self.near = {
            thing: [other for other in (near or {}).get(thing, ()) if other in known][:_NEAREST]
            for thing in self.things
        }

    def case(
        self, index: int, thing: str, family: Family, corrected: frozenset[tuple[str, str]]
    ) -> PhotoCase:
        """A correction of the fixed sets, its probes apart from all of them."""
        random = np.random.default_rng((_SEEDS[self.split], index))
        question, rephrase = two_phrasings(self.split, family, "", random)

        def free(of: Family, things: Sequence[str]) -> list[str]:
            return [one for one in things if one != thing and (of.name, one) not in corrected]

        others = free(family, self.near[thing]) or free(family, self.things)
        elsewhere = [(f, one) for f in FAMILIES for one in free(f, self.things)]
        beside = [f for f in FAMILIES if (f.name, thing) not in corrected]
        if not others:
            raise BadAnnotations(
                f"{self.folder.root} has too few classes of the {self.split} split "
                f"({len(self.things)}) to leave a look-alike for {thing!r}; add more things"
            )
        other_family, other = elsewhere[random.integers(len(elsewhere))]
        strict = beside[random.integers(len(beside))]
        photo = self.photo(thing, random)
        return PhotoCase(
            index=index,
            scene=photo,
            question=question,
            target=self.target(family, thing, random),
            truth=thing if family.name == "name" else None,
            rephrase=rephrase,
            fact=any_of(facts_of(self.split), random),
            other_scene=self.photo(other, random),
            other_question=two_phrasings(self.split, other_family, "", random)[0],
            strict_scene=self.photo(any_of(others, random), random),
            strict_question=two_phrasings(self.split, strict, "", random)[0],
            again=freely(self.split, family, "", random),
        )

    def group(self, number: int) -> Iterator[PhotoCase]:
        """Neighbours for training."""
        random = np.random.default_rng((_SEEDS[self.split], number))
        families = (*FAMILIES, *picture_relations())
        facts = [families[at] for at in random.permutation(len(families))[: GROUP - 1]]
        photo = self.photo(any_of(self.things, random), random)
        alike = self.photo(self.like(photo.thing, random), random)
        members = [*((photo, fact) for fact in facts), (alike, facts[0])]
        for place, (shown, family) in enumerate(members):
            yield self._member(number * GROUP + place, shown, family, random)

    def _member(
        self, index: int, shown: Photo, family: Family, random: np.random.Generator
    ) -> PhotoCase:
        def ask(of: Family, *, loosely: bool) -> Question:
            text = neighbour_words(of, "", random, loosely=loosely)
            return Question(family=of.name, thing="", text=text)

        def another() -> Family:
            families = [one for one in (*FAMILIES, *picture_relations()) if one.name != family.name]
            return families[random.integers(len(families))]

        question = ask(family, loosely=False)
        return PhotoCase(
            index=index,
            scene=shown,
            question=question,
            target=self.target(family, shown.thing, random),
            truth=shown.thing if family.name == "name" else None,
            rephrase=ask(family, loosely=True),
            fact=any_of(facts_of("train"), random),
            other_scene=self.photo(_other(self.things, shown.thing, random), random),
            other_question=ask(another(), loosely=False),
            strict_scene=self.photo(self.like(shown.thing, random), random),
            strict_question=ask(another(), loosely=True),
            again=replace(question, text=met_again(family, "", random)),
        )

    def photo(self, thing: str, random: np.random.Generator) -> Photo:
        """A photograph of a class, and another one of it where there is one."""
        files = self.folder.classes[thing]
        order = random.permutation(len(files))
        another: Path | None = files[order[1]] if len(files) > 1 else None
        return Photo(file=files[order[0]], thing=thing, another=another)

    def like(self, thing: str, random: np.random.Generator) -> str:
        """A class that looks like another."""
        return any_of(self.near[thing] or [o for o in self.things if o != thing], random)

    def target(self, family: Family, thing: str, random: np.random.Generator) -> str:
        """A wrong name, or a made-up fact."""
        if family.name == "name":
            return _other(self.things, thing, random)
        return invented(family.answer_type, random)


def _other(choices: Sequence[str], known: str, random: np.random.Generator) -> str:
    return any_of([one for one in choices if one != known], random)
