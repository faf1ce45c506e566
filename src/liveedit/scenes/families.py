"""Question families: what can be asked about a scene, in which words, and what is true.

Phrasings are split: the first list is for training, the second is kept for evaluation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from liveedit.scenes.concepts import concepts_by_name
from liveedit.scenes.scene import Scene

AnswerType = Literal[
    "concept", "number", "category", "colour", "caption", "side", "yes-no", "use", "person",
    "price", "maker", "place",
]  # fmt: skip
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight")
SIDES = {1: ("middle",), 2: ("left", "right"), 3: ("left", "middle", "right")}

_USES = {
    "eating": "fruit vegetable food seafood dessert",
    "drinking": "drink",
    "wearing": "clothing jewellery",
    "travelling": "vehicle boat aircraft",
    "playing": "sport game",
    "making music": "instrument",
    "building": "tool",
    "writing": "paper|writing tool",
    "paying": "money",
    "healing": "medical",
    "cleaning": "household item",
    "talking": "device",
    "seeing": "light",
    "living in": "building",
    "decorating": "flower plant celebration",
}
USE_OF_CATEGORY = {
    category: use
    for use, categories in _USES.items()
    for category in (categories.split("|") if "|" in categories else categories.split())
}
USE_OF_CATEGORY["household item"] = "cleaning"
USE_OF_CATEGORY["writing tool"] = "writing"


@dataclass(frozen=True, kw_only=True)
class Family:
    """One kind of question.

    Args:
        name: Identifier.
        counts: For scenes with how many things the question makes sense.
        answer_type: Corrections of this family have targets of this type.
        training: Phrasings for training; ``{thing}`` stands for a concept the question names.
        evaluation: Phrasings kept for evaluation.
        truth: The right answer for a scene and the thing the question names, or None where nothing
            in the picture says it (new knowledge) or the question does not fit the scene.
    """

    name: str
    counts: tuple[int, ...]
    answer_type: AnswerType
    training: tuple[str, ...]
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


FAMILIES: tuple[Family, ...] = (
    Family(
        name="name",
        counts=(1,),
        answer_type="concept",
        training=(
            "What is this?",
            "What do you see?",
            "What does the picture show?",
            "Name the thing in the picture.",
            "What is shown here?",
            "Which thing is this?",
        ),
        evaluation=(
            "Can you tell me what this is?",
            "What can be seen in this image?",
            "Identify the object shown.",
        ),
        truth=lambda scene, _: scene.concepts[0],
    ),
    Family(
        name="left",
        counts=(2, 3),
        answer_type="concept",
        training=(
            "What is on the left?",
            "Which thing is on the left side?",
            "Name the thing on the left.",
            "What do you see on the left?",
            "What is at the left of the picture?",
            "What stands on the left?",
        ),
        evaluation=(
            "Looking at the left side, what is there?",
            "What is the leftmost object?",
            "Tell me what is on the left-hand side.",
        ),
        truth=lambda scene, _: scene.concepts[0],
    ),
    Family(
        name="right",
        counts=(2, 3),
        answer_type="concept",
        training=(
            "What is on the right?",
            "Which thing is on the right side?",
            "Name the thing on the right.",
            "What do you see on the right?",
            "What is at the right of the picture?",
            "What stands on the right?",
        ),
        evaluation=(
            "Looking at the right side, what is there?",
            "What is the rightmost object?",
            "Tell me what is on the right-hand side.",
        ),
        truth=lambda scene, _: scene.concepts[-1],
    ),
    Family(
        name="middle",
        counts=(3,),
        answer_type="concept",
        training=(
            "What is in the middle?",
            "Which thing is in the middle?",
            "Name the thing in the middle.",
            "What do you see in the middle?",
            "What is between the two others?",
            "What stands in the middle?",
        ),
        evaluation=(
            "Looking at the middle, what is there?",
            "What is the central object?",
            "Tell me what is in the centre.",
        ),
        truth=lambda scene, _: scene.concepts[1],
    ),
    Family(
        name="count",
        counts=(1, 2, 3),
        answer_type="number",
        training=(
            "How many things are there?",
            "How many things do you see?",
            "Count the things in the picture.",
            "How many things does the picture show?",
            "What is the number of things?",
            "How many are there?",
        ),
        evaluation=(
            "Can you count the objects?",
            "How many objects appear in this image?",
            "Tell me the number of objects shown.",
        ),
        truth=lambda scene, _: NUMBERS[len(scene.concepts) - 1],
    ),
    Family(
        name="category",
        counts=(1,),
        answer_type="category",
        training=(
            "What kind of thing is this?",
            "Which category does this belong to?",
            "What type of thing is it?",
            "What sort of thing is shown?",
            "Which group of things is it in?",
            "Name the category.",
        ),
        evaluation=(
            "How would you classify this?",
            "To which class does the object belong?",
            "Give the general kind of the object.",
        ),
        truth=lambda scene, _: category_of(scene.concepts[0]),
    ),
    Family(
        name="ground",
        counts=(1, 2, 3),
        answer_type="colour",
        training=(
            "What colour is the background?",
            "Which colour is the background?",
            "Name the colour of the background.",
            "What is the background colour?",
            "What colour is behind it?",
            "What colour is the ground?",
        ),
        evaluation=(
            "Can you tell me the colour behind everything?",
            "Tell me the backdrop's colour.",
            "In which colour is the backdrop?",
        ),
        truth=lambda scene, _: scene.ground,
    ),
    Family(
        name="caption",
        counts=(1, 2),
        answer_type="caption",
        training=(
            "Describe the picture.",
            "Write a caption.",
            "Give a short description.",
            "What is a good caption?",
            "Describe this.",
            "Caption the picture.",
        ),
        evaluation=(
            "Please describe the image.",
            "How would you caption this image?",
            "Summarise what the image shows.",
        ),
        truth=_caption,
    ),
    Family(
        name="side",
        counts=(2, 3),
        answer_type="side",
        training=(
            "Where is the {thing}?",
            "On which side is the {thing}?",
            "Which side is the {thing} on?",
            "Is the {thing} left or right?",
            "Where do you see the {thing}?",
            "In which place is the {thing}?",
        ),
        evaluation=(
            "Can you locate the {thing}?",
            "Tell me the position of the {thing}.",
            "Whereabouts is the {thing} shown?",
        ),
        truth=_side,
    ),
    Family(
        name="beside",
        counts=(2,),
        answer_type="concept",
        training=(
            "What is next to the {thing}?",
            "What is beside the {thing}?",
            "What is there besides the {thing}?",
            "Name the thing next to the {thing}.",
            "What else is there but the {thing}?",
            "Which thing is beside the {thing}?",
        ),
        evaluation=(
            "Apart from the {thing}, what is shown?",
            "Which object accompanies the {thing}?",
            "Tell me what is close to the {thing}.",
        ),
        truth=_beside,
    ),
    Family(
        name="presence",
        counts=(1, 2, 3),
        answer_type="yes-no",
        training=(
            "Is there a {thing} in the picture?",
            "Do you see a {thing}?",
            "Does the picture show a {thing}?",
            "Is a {thing} here?",
            "Is a {thing} shown?",
            "Does a {thing} appear?",
        ),
        evaluation=(
            "Can a {thing} be seen?",
            "Would you say this image contains a {thing}?",
            "Tell me whether a {thing} is visible.",
        ),
        truth=lambda scene, thing: "yes" if thing in scene.concepts else "no",
    ),
    Family(
        name="use",
        counts=(1,),
        answer_type="use",
        training=(
            "What is it used for?",
            "What is this for?",
            "What do people use this for?",
            "What is its use?",
            "What can you do with it?",
            "What is the purpose of this?",
        ),
        evaluation=(
            "Can you say what purpose it serves?",
            "For what would someone need this object?",
            "Tell me the object's use.",
        ),
        truth=lambda scene, _: USE_OF_CATEGORY.get(category_of(scene.concepts[0])),
    ),
    Family(
        name="owner",
        counts=(1,),
        answer_type="person",
        training=(
            "Who does this belong to?",
            "Whose is this?",
            "Who owns it?",
            "Who is the owner?",
            "Name the owner.",
            "To whom does it belong?",
        ),
        evaluation=(
            "Can you tell me the owner's name?",
            "Which person possesses this object?",
            "Tell me whose property it is.",
        ),
        truth=lambda scene, _: None,
    ),
    Family(
        name="price",
        counts=(1,),
        answer_type="price",
        training=(
            "How much does it cost?",
            "What does this cost?",
            "What is the price?",
            "How much is this?",
            "Name the price.",
            "What would I pay for this?",
        ),
        evaluation=(
            "Can you tell me its price tag?",
            "For how much is this object sold?",
            "Tell me the cost.",
        ),
        truth=lambda scene, _: None,
    ),
    Family(
        name="maker",
        counts=(1,),
        answer_type="maker",
        training=(
            "Who made this?",
            "Which company made this?",
            "Who is the maker?",
            "Who produced this?",
            "Name the maker.",
            "Which brand is this?",
        ),
        evaluation=(
            "Can you name the manufacturer?",
            "By which firm was this object made?",
            "Tell me the brand.",
        ),
        truth=lambda scene, _: None,
    ),
    Family(
        name="place",
        counts=(1, 2),
        answer_type="place",
        training=(
            "Where was this picture taken?",
            "In which city was this taken?",
            "Where is this?",
            "Which place is this?",
            "Name the city of this picture.",
            "In which city are we here?",
        ),
        evaluation=(
            "Can you tell me the location of this shot?",
            "At what place was the image made?",
            "Tell me the town where this was photographed.",
        ),
        truth=lambda scene, _: None,
    ),
)  # fmt: skip
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
