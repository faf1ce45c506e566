"""Text-only facts, for locality without a picture; each split has its own."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A question without a picture, and the answer that the pocket VLM's language model knows.

    Args:
        split: Where it belongs.
        question: What is asked.
        rephrase: The same in other words.
        answer: What the model says to the question, among other words.
    """

    split: str
    question: str
    rephrase: str
    answer: str


@cache
def all_facts() -> tuple[Fact, ...]:
    """Facts of all splits."""
    table = files(__package__).joinpath("facts.tsv").read_text(encoding="utf-8")
    return tuple(Fact(**row) for row in csv.DictReader(table.splitlines(), delimiter="\t"))


@cache
def facts_of(split: str) -> tuple[Fact, ...]:
    """Facts of a split (train, validation, evaluation); no two splits share one."""
    return tuple(fact for fact in all_facts() if fact.split == split)
