"""What making edits costs: seconds, and bytes of what is stored of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from liveedit.store.base import Store

_LOOKED_AT = 16  # edits whose tensors are weighed


@dataclass(frozen=True, kw_only=True)
class Editing:
    """Of some edits.

    Args:
        edits: How many.
        seconds: That making them took, all together.
        bytes_per_edit: What the tensors of one take, a mean.
    """

    edits: int
    seconds: float
    bytes_per_edit: int


def editing_of(parts: Sequence[Editing]) -> dict[str, float]:
    """Of a run in parts: ``seconds_per_edit`` and ``bytes_per_edit``; nothing without edits.

    Args:
        parts: Of each part what its edits cost.
    """
    edits = sum(part.edits for part in parts)
    if not edits:
        return {}
    weighed = sum(part.edits * part.bytes_per_edit for part in parts)
    return {
        "seconds_per_edit": round(sum(part.seconds for part in parts) / edits, 4),
        "bytes_per_edit": round(weighed / edits),
    }


def bytes_per_edit(store: Store) -> int:
    """What the tensors of an edit take, as they are stored: a mean over some of all there are."""
    pool = store.pool()
    count = len(pool.keys)
    if not count:
        return 0
    some = torch.linspace(0, count - 1, min(_LOOKED_AT, count)).long()
    keys = 4 * sum(vectors.shape[1] for vectors in pool.keys[some].whole.vectors.values())
    values = pool.take(some).values()
    weighed = sum(one.numel() * one.element_size() for tensors in values for one in tensors)
    return round(keys + weighed / len(some))
