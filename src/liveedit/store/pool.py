"""What a query is routed in: the edits of one revision, as tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from liveedit.store.edit import Edit
from liveedit.store.index import Index
from liveedit.store.tensors import KeyRows, Keys

ReadEdits = Callable[[Sequence[str]], Mapping[str, Edit]]
TakeValues = Callable[[Int[Tensor, " some"] | None], dict[str, list[Tensor]]]


@dataclass(frozen=True, kw_only=True)
class Pool:
    """The edits of one revision, in order, as tensors; those not in force are not eligible.

    Nothing in it changes any more: whoever holds a pool sees this revision, whole.

    Args:
        ids: Their names; there may be more names than rows.
        keys: What queries are compared with.
        eligible: Which edits may be routed to, for each query or for all.
        take: The values of some rows, by name, one tensor for each row in their order, or of all.
        edits_of: The edits of some names, as people read them.
        thumbnail: The thumbnail of a picture by its identity, if it is kept.
        revision: The state of the store that this is.
        crowd: How many text-only edits, and how many with a picture, are eligible; where the pool
            was narrowed, in the whole of it.
        index: Proposes rows where comparing all would take too long.
    """

    ids: Sequence[str]
    keys: KeyRows
    eligible: Bool[Tensor, "queries edits"]
    crowd: Int[Tensor, "queries 2"]
    take: TakeValues
    edits_of: ReadEdits
    thumbnail: Callable[[str], bytes | None]
    revision: int = 0
    index: Index | None = None

    def near(self, queries: Keys) -> Pool:
        """The part of the pool that may concern some queries; itself if all can be compared.

        Exact scores decide among what the index proposes. How many were eligible stays known,
        because the threshold of the hard filter grows with that number.
        """
        if self.index is None:
            return self
        rows = self.index.propose(queries, self.eligible)
        take = self.take
        return replace(
            self,
            ids=[self.ids[row] for row in rows.tolist()],
            keys=self.keys[rows],
            eligible=self.eligible[:, rows],
            take=lambda some: take(rows if some is None else rows[some]),
            index=None,
        )

    def without(self, edit_id: str) -> Pool:
        """The same, but one edit may not be routed to."""
        eligible = self.eligible.clone()
        eligible[:, self.ids.index(edit_id)] = False
        return replace(self, eligible=eligible, crowd=count_kinds(eligible, self.keys.sees))

    def of_queries(self, which: Int[Tensor, " some"]) -> Pool:
        """The same for some of the queries."""
        if len(self.eligible) == 1:
            return self
        return replace(self, eligible=self.eligible[which], crowd=self.crowd[which])

    def crowd_of(self, sees: Bool[Tensor, " batch"]) -> Int[Tensor, "batch 1"]:
        """How many edits of its kind each query could be routed to.

        Args:
            sees: Which queries have a picture.
        """
        return self.crowd.expand(len(sees), -1).gather(1, sees.long()[:, None])


def count_kinds(
    eligible: Bool[Tensor, "queries edits"], sees: Bool[Tensor, " edits"]
) -> Int[Tensor, "queries 2"]:
    """How many eligible edits are text-only, and how many have a picture."""
    seeing = _count(eligible & sees)
    return torch.stack([_count(eligible) - seeing, seeing], 1)


def _count(mask: Bool[Tensor, "queries edits"]) -> Int[Tensor, " queries"]:
    """Of bytes, which are added up several times as fast as truth values."""
    return mask.view(torch.uint8).sum(1, dtype=torch.int32)
