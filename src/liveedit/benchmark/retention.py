"""Retention: what becomes of the first edits as more and more come after them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from liveedit.benchmark.metrics import summarise
from liveedit.benchmark.suite import Group

LATER = (0, 100, 500, 900)
FIRST = 100


def retention_groups(corrections: int, later: Sequence[int] = LATER) -> dict[int, Group]:
    """The first hundred edits with so many more made after them.

    Args:
        corrections: How many there are.
        later: Numbers of later edits; those for which the corrections do not suffice are left out.
    """
    return {
        more: Group(edited=range(FIRST + more), texts=(), asked=range(FIRST))
        for more in later
        if FIRST + more <= corrections
    }


def summarise_retention(
    records: Sequence[dict[str, Any]], later: Sequence[int]
) -> dict[str, dict[str, Any]]:
    """By number of later edits what :func:`summarise` gives of the group of that position."""
    of: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        of[record["group"]].append(record)
    return {str(more): summarise(of[number]) for number, more in enumerate(later)}
