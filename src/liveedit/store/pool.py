"""What a query is routed in: the edits of one revision, as tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from liveedit.methods.liveedit.generator import Experts
from liveedit.methods.liveedit.routing import EditFeatures
from liveedit.store.index import Index
from liveedit.store.segmented_tensor import FeatureRows

TakeExperts = Callable[[Int[Tensor, " some"] | None], Experts]


@dataclass(frozen=True, kw_only=True)
class Pool:
    """The edits of one revision, in order, as tensors; those not in force are not eligible.

    Nothing in it changes any more: whoever holds a pool sees this revision, whole.

    Args:
        ids: Their names; there may be more names than rows.
        told: Edit-side routing features.
        eligible: Which edits may be routed to, for each query or for all.
        take: The experts of some rows, in their order, or of all.
        revision: The state of the store that this is.
        crowd: How many text-only edits, and how many with a picture, are eligible; where the pool
            was narrowed, in the whole of it.
        index: Proposes rows where comparing all would take too long.
    """

    ids: Sequence[str]
    told: FeatureRows
    eligible: Bool[Tensor, "queries edits"]
    crowd: Int[Tensor, "queries 2"]
    take: TakeExperts
    revision: int = 0
    index: Index | None = None

    @property
    def features(self) -> EditFeatures:
        """Edit-side routing features, float32, in one piece; of very many edits a copy."""
        return self.told.whole

    @property
    def experts(self) -> Experts:
        """U and v of all edits, (edits, rank, width)."""
        return self.take(None)

    def near(self, queries: EditFeatures) -> Pool:
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
            told=self.told[rows],
            eligible=self.eligible[:, rows],
            take=lambda some: take(rows if some is None else rows[some]),
            index=None,
        )

    def without(self, edit_id: str) -> Pool:
        """The same, but one edit may not be routed to."""
        eligible = self.eligible.clone()
        eligible[:, self.ids.index(edit_id)] = False
        return replace(self, eligible=eligible, crowd=count_kinds(eligible, self.told.sees))

    def crowd_of(self, queries: EditFeatures) -> Int[Tensor, "batch 1"]:
        """How many edits of its kind each query could be routed to."""
        return self.crowd.expand(len(queries.sees), -1).gather(1, queries.sees.long()[:, None])


def count_kinds(
    eligible: Bool[Tensor, "queries edits"], sees: Bool[Tensor, " edits"]
) -> Int[Tensor, "queries 2"]:
    """How many eligible edits are text-only, and how many have a picture."""
    seeing = _count(eligible & sees)
    return torch.stack([_count(eligible) - seeing, seeing], 1)


def _count(mask: Bool[Tensor, "queries edits"]) -> Int[Tensor, " queries"]:
    """Of bytes, which are added up several times as fast as truth values."""
    return mask.view(torch.uint8).sum(1, dtype=torch.int32)
