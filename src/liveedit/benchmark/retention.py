"""Retention: what becomes of the first edits as more and more come after them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from liveedit.benchmark.metrics import summarise
from liveedit.benchmark.protocol import Group, Protocol

LATER = (0, 100, 500, 900)
FIRST = 100


def retention(
    protocol: Protocol, corrections: int, later: Sequence[int] = LATER
) -> dict[str, dict[str, Any]]:
    """Metrics of the first hundred edits with so many more made after them.

    Args:
        protocol: Probes that were read.
        corrections: How many there are.
        later: Numbers of later edits; those for which the corrections do not suffice are left out.

    Returns:
        By number of later edits what :func:`summarise` gives.
    """
    possible = [more for more in later if FIRST + more <= corrections]
    groups = [Group(edited=range(FIRST + more), texts=(), asked=range(FIRST)) for more in possible]
    records: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for record in protocol.run(groups):
        records[record["group"]].append(record)
    return {str(more): summarise(records[number]) for number, more in enumerate(possible)}
