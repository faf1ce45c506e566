"""Text-only facts, for locality without a picture; each split has its own."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A question without a picture, and the answer that the pocket VLM's language model knows."""

    split: str
    question: str
    answer: str


@cache
def facts_of(split: str) -> tuple[Fact, ...]:
    """Facts of a split (train, validation, evaluation); no two splits share one."""
    table = files(__package__).joinpath("facts.tsv").read_text(encoding="utf-8")
    rows = csv.DictReader(table.splitlines(), delimiter="\t")
    return tuple(fact for fact in (Fact(**row) for row in rows) if fact.split == split)
