"""Which edits share an expert: those of a batch, in the order in which they were made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor

from liveedit.store.pool import Pool

STATE, EXPERT = "state", "expert"  # keys of an edit


@dataclass(frozen=True, kw_only=True)
class Member:
    """An edit, as the router and those that share its expert need it.

    Args:
        id: Its name.
        key: Of its question.
        sees: Whether that has a picture.
        number: Of its expert.
    """

    id: str
    key: Float[Tensor, " width"]
    sees: bool
    number: int


def members_of(pool: Pool, row: int, numbers: Int[Tensor, " edits"]) -> list[Member]:
    """What a row of a batch may be answered with, oldest first.

    Args:
        pool: The edits.
        row: Of the batch.
        numbers: Of the edits' experts.
    """
    keys, which = pool.keys.whole, numbers.tolist()
    eligible = pool.eligible[row if len(pool.eligible) > 1 else 0]
    return [
        Member(
            id=pool.ids[at],
            key=keys.vectors[STATE][at].float().cpu(),
            sees=bool(keys.sees[at]),
            number=which[at],
        )
        for at in eligible.nonzero().flatten().tolist()
    ]


def next_expert(members: Sequence[Member], per_expert: int) -> tuple[int, list[str]]:
    """The number of the next edit's expert, and the edits that share it already.

    Args:
        members: In force, oldest first.
        per_expert: So many fill a batch.
    """
    last = max((one.number for one in members), default=-1)
    shared = [one.id for one in members if one.number == last]
    return (last + 1, []) if len(shared) in (0, per_expert) else (last, shared)


def alike_rows(
    eligible: Bool[Tensor, "queries edits"], rows: int
) -> Iterator[tuple[list[int], Bool[Tensor, " edits"]]]:
    """Rows of a batch that may be answered with the same edits."""
    if len(eligible) == 1:
        yield list(range(rows)), eligible[0]
        return
    kinds, which = eligible.unique(dim=0, return_inverse=True)
    for at, kind in enumerate(kinds):
        yield (which == at).nonzero().flatten().tolist(), kind
