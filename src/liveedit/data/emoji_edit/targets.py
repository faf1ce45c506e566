"""Counterfactual targets: wrong answers of the same type as the right one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from liveedit.data.emoji_edit.concepts import all_concepts
from liveedit.data.emoji_edit.families import NUMBERS, SIDES, USE_OF_CATEGORY, Family
from liveedit.data.emoji_edit.scene import GROUND_COLOURS, Scene

PERSONS = (
    "Maria Peter Anna Lukas Sofia Omar Aisha Chen Yuki Ravi Priya Ivan Olga Hugo Emma Noah Lena "
    "Carlos Ines Marco Giulia Lars Freya Tom Grace Adam Nora Felix Clara Oscar Zara Leo Mia Paul"
).split()
MAKERS = (
    "Solvana Kintar Bremont Halvik Orizon Tellura Mavenco Quadrix Nordfell Pexim Lumora Castel "
    "Ferrano Zentek Amberly Voltran Hexaplan Rivello Sundara Klippo Arvanti Dorset Elmwood Ganzu"
).split()
PLACES = (
    "Paris London Berlin Madrid Rome Vienna Prague Lisbon Dublin Oslo Athens Cairo Nairobi Lagos "
    "Mumbai Delhi Tokyo Osaka Seoul Beijing Sydney Toronto Boston Chicago Denver Lima Havana "
    "Istanbul Moscow Warsaw Budapest Zurich Geneva Munich Hamburg Milan Naples Lyon Porto Seville"
).split()
_MONTHS = (
    "January February March April May June July August September October November December"
).split()
_MATERIALS = "wood steel glass leather paper stone copper cotton clay wax rubber silk".split()
_LANGUAGES = "Danish Finnish Greek Hebrew Hindi Latin Maltese Swahili Tamil Turkish Welsh".split()
_LETTERS = tuple("ABCDEFGHKLMNPRSTUVWX")
_CURRENCIES = ("euros", "dollars", "pounds")
_WORD_STARTS = ("Ġ", "▁")  # how byte-level and SentencePiece tokenizers write a leading space
_WORDS_SEED = 11


def counterfactual(
    family: Family,
    scene: Scene,
    truth: str | None,
    names: tuple[str, ...],
    random: np.random.Generator,
) -> str:
    """Draw a target of the family's answer type that is not the truth.

    Args:
        names: Concepts that may appear in a target.
    """

    def other(choices: list[str]) -> str:
        return str(random.choice([choice for choice in choices if choice != truth]))

    shown = set(scene.concepts)
    absent = [name for name in names if name not in shown]
    match family.answer_type:
        case "concept":
            return other(absent)
        case "number":
            return other(list(NUMBERS))
        case "category":
            return other(sorted({concept.category for concept in all_concepts()}))
        case "colour":
            return other(list(GROUND_COLOURS))
        case "caption":
            return f"{other(absent)} on {random.choice(list(GROUND_COLOURS))}"
        case "side":
            return other(list(SIDES[3]))
        case "yes-no":
            return "no" if truth == "yes" else "yes"
        case "use":
            return other(sorted(set(USE_OF_CATEGORY.values())))
        case "person":
            return str(random.choice(PERSONS))
        case "price":
            return f"{random.integers(2, 99)} {random.choice(_CURRENCIES)}"
        case "maker":
            return str(random.choice(MAKERS))
        case "place":
            return str(random.choice(PLACES))
        case other_type:
            return invented(other_type, random)


def invented(answer_type: str, random: np.random.Generator) -> str:
    """An answer of a type, whatever is true."""

    def one(choices: Sequence[str]) -> str:
        return str(random.choice(choices))

    number = int(random.integers(2, 900))
    match answer_type:
        case "person":
            return one(PERSONS)
        case "place":
            return one(PLACES)
        case "price":
            return f"{number} {one(_CURRENCIES)}"
        case "number":
            return str(number)
        case "year":
            return str(random.integers(1900, 2040))
        case "date":
            return f"{random.integers(1, 29)} {one(_MONTHS)} {random.integers(1950, 2035)}"
        case "duration":
            return f"{number % 60 + 2} {one(('days', 'weeks', 'months', 'years', 'hours'))}"
        case "organisation" | "maker":
            return one(MAKERS)
        case "colour":
            return one(list(GROUND_COLOURS))
        case "material":
            return one(_MATERIALS)
        case "language":
            return one(_LANGUAGES)
        case "code":
            return f"{one(_LETTERS)}{one(_LETTERS)}-{random.integers(100, 9999)}"
        case "email":
            return f"{one(PERSONS).lower()}@{one(MAKERS).lower()}.example"
        case "phone":
            return f"555 {random.integers(1000, 9999)}"
        case _:
            return one([concept.name for concept in all_concepts()])


def vocabulary_words(tokens: Iterable[str]) -> list[str]:
    """Every word of three letters or more among a tokenizer's tokens."""
    begun = (token[1:] for token in tokens if token[:1] in _WORD_STARTS)
    return sorted({word for word in begun if len(word) >= 3 and word.isascii() and word.isalpha()})


def random_words(words: Sequence[str], seed: int) -> str:
    """One to three words at random: a target whose every token must be read off the correction."""
    random = np.random.default_rng((_WORDS_SEED, seed))
    return " ".join(random.choice(words, size=random.integers(1, 4)))
