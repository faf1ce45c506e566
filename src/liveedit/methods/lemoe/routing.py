"""Which expert a question goes to: the one with the nearest of a few keys, or none.

Keys are compared from anchors on: the mean key of general questions, which no edit moves. An
expert's own are the means of clusters of its edits' questions, so that what is added later moves
none of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

_ROUNDS = 20  # of k-means at most
_REMEMBERED = 64  # sets of edits whose clusters are not worked out again


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """Keys that stand for experts.

    Args:
        keys: Of length one.
        experts: The number of each one's expert.
        sees: Whether it stands for questions about pictures.
    """

    keys: Float[Tensor, "clusters width"]
    experts: Int[Tensor, " clusters"]
    sees: Bool[Tensor, " clusters"]

    def nearest(
        self,
        asked: Float[Tensor, "questions width"],
        sees: Bool[Tensor, " questions"],
        scope: float,
    ) -> Int[Tensor, " questions"]:
        """The number of each question's expert, -1 for none.

        Args:
            asked: Keys of questions, of length one.
            sees: Which have a picture.
            scope: What their cosine must exceed.
        """
        if not len(self.keys):
            return torch.full((len(asked),), -1, device=asked.device)
        cosines = asked @ self.keys.to(asked).T
        cosines = cosines.masked_fill(sees[:, None] != self.sees.to(sees.device), -1.0)
        best, at = cosines.max(1)
        return torch.where(best > scope, self.experts.to(asked.device)[at], -1)


def k_means(keys: Float[Tensor, "keys width"], count: int) -> Float[Tensor, "means width"]:
    """Means of clusters, of length one; deterministic.

    The first mean is the first key, each further one begins at the key that is farthest from those
    there are.

    Args:
        keys: Of length one; at least one.
        count: So many means, or as many as there are different keys.
    """
    chosen = [0]
    while len(chosen) < count:
        near = (keys @ keys[chosen].T).amax(1)
        if near.min() > 1 - 1e-5:
            break
        chosen.append(int(near.argmin()))
    means = keys[chosen]
    for _ in range(_ROUNDS):
        own = (keys @ means.T).argmax(1)
        sums = torch.zeros_like(means).index_add(0, own, keys)
        sums = torch.where(sums.norm(dim=1, keepdim=True) > 0, sums, means)
        moved = F.normalize(sums, dim=1)
        if torch.equal(moved, means):
            break
        means = moved
    return means


def clusters_of(
    keys: Float[Tensor, "edits width"],
    experts: Int[Tensor, " edits"],
    sees: Bool[Tensor, " edits"],
    count: int,
) -> Clusters:
    """Keys of all experts, each from its own edits alone.

    Args:
        keys: Of the edits, of length one.
        experts: The number of each one's expert.
        sees: Which have a picture.
        count: Keys of an expert, for either kind of question, at most.
    """
    if len(experts.unique()) == len(experts):
        return Clusters(keys=keys, experts=experts, sees=sees)
    groups = torch.stack([experts, sees.long()], 1)
    kinds, group = groups.unique(dim=0, return_inverse=True)
    parts = [keys[group == at] for at in range(len(kinds))]
    means = [part if len(part) == 1 else k_means(part, count) for part in parts]
    which = torch.tensor([at for at, some in enumerate(means) for _ in some], dtype=torch.long)
    which = which.to(keys.device)
    return Clusters(
        keys=torch.cat([keys[:0], *means]), experts=kinds[which, 0], sees=kinds[which, 1].bool()
    )


class KnownClusters:
    """Clusters of the sets of edits that were asked for lately."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, tuple[str, ...]], Clusters] = {}

    def of(
        self,
        names: Sequence[str],
        keys: Float[Tensor, "edits width"],
        experts: Int[Tensor, " edits"],
        sees: Bool[Tensor, " edits"],
        count: int,
    ) -> Clusters:
        """See `clusters_of`.

        Args:
            names: Of the edits.
            keys: Theirs.
            experts: Their experts' numbers.
            sees: Which have a picture.
            count: Keys of an expert at most.
        """
        known = (count, tuple(names))
        found = self._known.get(known)
        if found is None:
            found = clusters_of(keys, experts, sees, count)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[known] = found
        return found
