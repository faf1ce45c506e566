"""Questions of the families, in known words, in those kept for rephrasing, and in free ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liveedit.data.emoji_edit.concepts import Split
from liveedit.data.emoji_edit.families import Family
from liveedit.data.emoji_edit.free_words import free_wordings, typed_freely
from liveedit.data.emoji_edit.wordings import reword

# words around a training question, so that more than the family's own phrasings are met
_OPENINGS = (
    "", "", "", "", "Look at the picture. ", "Please answer: ", "Tell me, ", "Quick question: ",
    "In this picture: ", "I wonder: ", "Look closely. ", "Hey! ",
)  # fmt: skip
_HELD_FOR_VALIDATION = 2  # of a family's phrasings for training, the last ones
_SHARE_OF_KNOWN = 0.3  # of training questions in the words that corrections have elsewhere


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


def freely(split: Split, family: Family, thing: str, random: np.random.Generator) -> Question:
    """A question of a family in free words, those of the split."""
    if split == "train":
        text = typed_freely(family.name, thing, random)
    else:
        choices = free_wordings(family.name, split)
        text = choices[random.integers(len(choices))].replace("{thing}", thing)
    return Question(family=family.name, thing=thing, text=text)


def two_phrasings(
    split: Split, family: Family, thing: str, random: np.random.Generator
) -> tuple[Question, Question]:
    """The same question twice, the second time in words the split keeps for rephrasing."""
    if split == "train":
        asked = again = training_words(family, random)
        while again == asked:
            again = training_words(family, random)
    else:
        known = family.training[:-_HELD_FOR_VALIDATION]
        asked = known[random.integers(len(known))]
        held = {
            "validation": family.training[-_HELD_FOR_VALIDATION:],
            "evaluation": family.evaluation,
        }[split]
        again = held[random.integers(len(held))]
    first, second = (
        Question(family=family.name, thing=thing, text=text.replace("{thing}", thing))
        for text in (asked, again)
    )
    return first, second


def training_words(family: Family, random: np.random.Generator) -> str:
    """For training: a question of a family, sometimes with words around it."""
    known = family.training[:-_HELD_FOR_VALIDATION]
    reserved = (*family.training[-_HELD_FOR_VALIDATION:], *family.evaluation)
    if random.random() < _SHARE_OF_KNOWN:
        text = known[random.integers(len(known))]
    else:
        text = reword(family.more, family.indirect, family.noun, random, reserved=reserved)
    return str(random.choice(_OPENINGS)) + text
