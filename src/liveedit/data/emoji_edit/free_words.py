"""Free wordings: how people ask when nobody has told them how, and what else a message holds.

Those of validation and evaluation are sentences typed one by one, each list written apart from the
other and from the training patterns. None of them is trained on.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import numpy as np

from liveedit.data.emoji_edit.as_typed import as_typed
from liveedit.data.emoji_edit.wordings import spell_out

HeldBack = Literal["validation", "evaluation"]
_BEFORE, _AFTER = 0.7, 0.5  # of the messages with more than the question
_LONGER = 0.3  # of those with text before it have two of them


@cache
def words(name: str) -> dict[str, Any]:
    """A file of ``words``."""
    text = files(__package__).joinpath(f"words/{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def free_wordings(family: str, split: HeldBack) -> tuple[str, ...]:
    """How a split's corrections of a family are asked freely; ``{thing}`` stands for a concept."""
    return tuple(words(f"free_{split}")["wordings"][family])


def other_questions(split: HeldBack) -> tuple[str, ...]:
    """Questions about a picture of one thing that no family asks."""
    return tuple(words(f"free_{split}")["other_questions"]["one"])


def general_questions(split: HeldBack) -> tuple[str, ...]:
    """Questions without a picture."""
    return tuple(words(f"free_{split}")["other_questions"]["general"])


def long_texts(split: HeldBack) -> tuple[str, ...]:
    """Texts of 2,000 characters and more, to stand before a question."""
    return tuple(words(f"free_{split}")["contexts"]["before"])


@cache
def _held_back() -> frozenset[str]:
    """What training must not meet, however it is spelled."""
    splits: tuple[HeldBack, ...] = ("validation", "evaluation")
    sentences = [
        sentence
        for split in splits
        for family in words(f"free_{split}")["wordings"]
        for sentence in free_wordings(family, split)
    ]
    sentences += [sentence for split in splits for sentence in other_questions(split)]
    return frozenset(bare(sentence) for sentence in sentences)


def bare(sentence: str) -> str:
    """A sentence by its letters and figures alone."""
    return re.sub(r"[^a-z0-9{}]+", " ", sentence.lower().replace("'", "")).strip()


def typed(patterns: tuple[str, ...], thing: str, random: np.random.Generator) -> str:
    """For training: one of the patterns spelled out and typed; nothing that is held back."""
    while bare(sentence := spell_out(patterns[random.integers(len(patterns))], random)) in (
        _held_back()
    ):
        pass
    return as_typed(sentence.replace("{thing}", thing), random, keep=thing)


def typed_freely(family: str, thing: str, random: np.random.Generator) -> str:
    """For training: a question of a family in free words."""
    return typed(tuple(words("free_training")[family]), thing, random)


def in_a_message(question: str, random: np.random.Generator) -> str:
    """For training: the question with text before or after it."""
    texts = words("contexts_training")
    before = after = ""
    if random.random() < _BEFORE:
        before = texts["before"][random.integers(len(texts["before"]))]
        if random.random() < _LONGER:
            before = f"{texts['before'][random.integers(len(texts['before']))]}\n\n{before}"
    if not before or random.random() < _AFTER:
        after = texts["after"][random.integers(len(texts["after"]))]
    gap = ("\n", "\n\n", " ")[random.integers(3)]
    return gap.join(part for part in (before, question, after) if part)
