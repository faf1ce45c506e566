"""Question families: what can be asked about a scene, in which words, and what is true.

The words are in ``phrasings.toml``, those for training apart from those kept for evaluation.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

import numpy as np

from liveedit.data.emoji_edit.concepts import concepts_by_name
from liveedit.data.emoji_edit.scene import Scene

AnswerType = Literal[
    "concept", "number", "category", "colour", "caption", "side", "yes-no", "use", "person",
    "price", "maker", "place",
    # of relations, which are for training alone
    "year", "date", "organisation", "material", "language", "word", "duration", "code", "email",
    "phone",
]  # fmt: skip
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight")
SIDES = {1: ("middle",), 2: ("left", "right"), 3: ("left", "middle", "right")}

_USES = {
    "eating": ("fruit", "vegetable", "food", "seafood", "dessert"),
    "drinking": ("drink",),
    "wearing": ("clothing", "jewellery"),
    "travelling": ("vehicle", "boat", "aircraft"),
    "playing": ("sport", "game"),
    "making music": ("instrument",),
    "building": ("tool",),
    "writing": ("paper", "writing tool"),
    "paying": ("money",),
    "healing": ("medical",),
    "cleaning": ("household item",),
    "talking": ("device",),
    "seeing": ("light",),
    "living in": ("building",),
    "decorating": ("flower", "plant", "celebration"),
}
USE_OF_CATEGORY = {category: use for use, categories in _USES.items() for category in categories}


@dataclass(frozen=True, kw_only=True)
class Family:
    """One kind of question.

    Args:
        name: Identifier.
        counts: For scenes with how many things the question makes sense.
        answer_type: Corrections of this family have targets of this type.
        training: Phrasings of corrections; ``{thing}`` stands for a concept the question names.
        more: Patterns of further phrasings, for training alone (see ``wordings``).
        indirect: Clauses that say what is asked, for training alone.
        noun: Nouns that say what is asked, for training alone.
        evaluation: Phrasings kept for evaluation.
        truth: The right answer for a scene and the thing the question names, or None where nothing
            in the picture says it (new knowledge) or the question does not fit the scene.
    """

    name: str
    counts: tuple[int, ...]
    answer_type: AnswerType
    training: tuple[str, ...]
    more: tuple[str, ...]
    indirect: tuple[str, ...]
    noun: tuple[str, ...]
    evaluation: tuple[str, ...]
    truth: Callable[[Scene, str], str | None]

    @property
    def names_thing(self) -> bool:
        """Whether the question names one concept."""
        return "{thing}" in self.training[0]


def category_of(concept: str) -> str:
    """Category of the concept of a name."""
    return concepts_by_name()[concept].category


def _caption(scene: Scene, _: str) -> str:
    things = list(scene.concepts)
    listed = things[0] if len(things) == 1 else ", ".join(things[:-1]) + " and " + things[-1]
    return f"{listed} on {scene.ground}"


def _side(scene: Scene, thing: str) -> str:
    return SIDES[len(scene.concepts)][scene.concepts.index(thing)]


def _beside(scene: Scene, thing: str) -> str:
    return scene.concepts[1 - scene.concepts.index(thing)]


def _unknowable(scene: Scene, thing: str) -> None:
    """Nothing in a picture says it: an edit about it is new knowledge."""


_SPECIFICATIONS: tuple[
    tuple[str, tuple[int, ...], AnswerType, Callable[[Scene, str], str | None]], ...
] = (
    ("name", (1,), "concept", lambda scene, _: scene.concepts[0]),
    ("left", (2, 3), "concept", lambda scene, _: scene.concepts[0]),
    ("right", (2, 3), "concept", lambda scene, _: scene.concepts[-1]),
    ("middle", (3,), "concept", lambda scene, _: scene.concepts[1]),
    ("count", (1, 2, 3), "number", lambda scene, _: NUMBERS[len(scene.concepts) - 1]),
    ("category", (1,), "category", lambda scene, _: category_of(scene.concepts[0])),
    ("ground", (1, 2, 3), "colour", lambda scene, _: scene.ground),
    ("caption", (1, 2), "caption", _caption),
    ("side", (2, 3), "side", _side),
    ("beside", (2,), "concept", _beside),
    ("presence", (1, 2, 3), "yes-no", lambda scene, t: "yes" if t in scene.concepts else "no"),
    ("use", (1,), "use", lambda scene, _: USE_OF_CATEGORY.get(category_of(scene.concepts[0]))),
    ("owner", (1,), "person", _unknowable),
    ("price", (1,), "price", _unknowable),
    ("maker", (1,), "maker", _unknowable),
    ("place", (1, 2), "place", _unknowable),
)


def _families() -> tuple[Family, ...]:
    text = files(__package__).joinpath("phrasings.toml").read_text(encoding="utf-8")
    phrasings = {
        name: {split: tuple(lines) for split, lines in both.items()}
        for name, both in tomllib.loads(text).items()
    }
    return tuple(
        Family(name=name, counts=counts, answer_type=answer_type, truth=truth, **phrasings[name])
        for name, counts, answer_type, truth in _SPECIFICATIONS
    )


FAMILIES = _families()
FAMILY_BY_NAME = {family.name: family for family in FAMILIES}


def pick_thing(
    family: Family, scene: Scene, absent: tuple[str, ...], random: np.random.Generator
) -> str:
    """Choose the concept a question names: one of the scene, for presence as often an absent one.

    Args:
        absent: Concepts to choose an absent thing from; those of the scene are passed over.
    """
    if not family.names_thing:
        return ""
    if family.name == "presence" and random.random() < 0.5:
        while (thing := str(random.choice(absent))) in scene.concepts:
            pass
        return thing
    return str(random.choice(scene.concepts))
