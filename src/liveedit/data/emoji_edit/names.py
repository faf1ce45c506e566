"""Names of made-up subjects: a few hundred to a kind, and beyond them any that can be pronounced.

A router that met a few names a thousand times each knows them by heart; one that never meets a name
again has to read it.
"""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np

from liveedit.data.emoji_edit.free_words import words

_ONSETS = (
    "b", "bl", "br", "c", "ch", "cl", "d", "dr", "f", "fl", "g", "gl", "gr", "h", "j", "k", "l",
    "m", "n", "p", "pl", "qu", "r", "s", "sh", "sk", "sn", "st", "sw", "t", "th", "tr", "v", "w",
    "y", "z",
)  # fmt: skip
_VOWELS = ("a", "e", "i", "o", "u", "a", "e", "o", "ai", "ee", "ia", "ou", "au", "oo")
_ENDS = (
    "", "", "", "n", "r", "l", "s", "th", "nd", "rk", "ll", "m", "x", "t", "ck", "rn", "lt", "ng",
)  # fmt: skip
_KNOWN, _WITH_A_WORD, _ALONE = 0.35, 0.7, 0.9  # shares, each added to those before it
_OF_PERSONS = "person"

Name = tuple[str, str]  # what is its own, and what it may share with another; either may be empty


@cache
def subjects(kind: str) -> tuple[str, ...]:
    """The listed names of a kind."""
    parts = words("relations")["subjects"][kind]
    return tuple(f"{first} {last}" for first, last in product(parts["first"], parts["last"]))


def draw_name(kind: str, random: np.random.Generator) -> Name:
    """For training: a listed name of a kind, or one that nobody has met."""
    parts, draw = words("relations")["subjects"][kind], random.random()
    if draw < _KNOWN:
        return _one(parts["first"], random), _one(parts["last"], random)
    if kind == _OF_PERSONS:
        first = _one(parts["first"], random) if random.random() < 0.5 else invented(random)
        return first, invented(random)
    if draw < _WITH_A_WORD:
        return _of_words(random), _one(parts["last"], random)
    if draw < _ALONE:
        return _of_words(random), ""
    return f"the {_of_words(random)}", _one(parts["last"], random)


def draw_another(kind: str, name: Name, random: np.random.Generator) -> Name:
    """For training: another name of the kind, half of the time with a part in common."""
    while True:
        other, draw = draw_name(kind, random), random.random()
        if draw < 0.35:
            other = other[0], name[1]
        elif draw < 0.5 and other[1]:
            other = name[0], other[1]
        if whole(other).lower() != whole(name).lower():
            return other


def whole(name: Name) -> str:
    """As it is written."""
    return " ".join(part for part in name if part)


def invented(random: np.random.Generator) -> str:
    """A word that means nothing."""
    count = int(random.choice((1, 2, 3), p=(0.15, 0.6, 0.25)))
    parts = [_one(_ONSETS, random) + _one(_VOWELS, random) for _ in range(count)]
    return ("".join(parts) + _one(_ENDS, random)).capitalize()


def _of_words(random: np.random.Generator) -> str:
    """A word that means nothing, or two that mean something."""
    draw, ordinary = random.random(), words("relations")["ordinary"]
    if draw < 0.5:
        return invented(random)
    adjective, noun = _one(ordinary["adjectives"], random), _one(ordinary["nouns"], random)
    return f"{adjective} {noun}" if draw < 0.75 else f"{invented(random)} {noun}"


def _one(choices: tuple[str, ...] | list[str], random: np.random.Generator) -> str:
    return choices[int(random.integers(len(choices)))]
