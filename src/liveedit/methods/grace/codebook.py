"""The codebook: radii of keys, as they come about when the edits in force are made one by one.

Nothing of it is kept. Radii follow from keys and targets alone, so that without a revoked edit they
are what they would be had it never been made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from liveedit.store.edit import Edit
from liveedit.store.pool import ReadEdits

COVERED = -1.0  # radius of a key that an earlier one of the same target covers
_APART = 1e-5  # by which the older of two keys of different targets gives way
_REMEMBERED = 64  # sets of edits whose radii are not worked out again


def distances(
    queries: Float[Tensor, "queries width"], keys: Float[Tensor, "keys width"]
) -> Float[Tensor, "queries keys"]:
    """Euclidean distances, exact also where they are small."""
    return torch.cdist(queries[None], keys[None], compute_mode="donot_use_mm_for_euclid_dist")[0]


def radii(
    keys: Float[Tensor, "keys width"], targets: Sequence[str], radius: float
) -> Float[Tensor, " keys"]:
    """Radius of each key, :data:`COVERED` where it has none of its own (the paper's algorithm 1).

    Args:
        keys: In the order in which they were made.
        targets: Their labels; case and blanks do not matter.
        radius: Of a new key.
    """
    labels = [" ".join(target.casefold().split()) for target in targets]
    apart = distances(keys, keys).cpu()
    found = torch.full((len(labels),), COVERED)
    for new in range(len(labels)):
        before = torch.where(found[:new] >= 0, apart[new, :new], torch.inf)
        if not new or bool(before.isinf().all()):
            found[new] = radius
            continue
        nearest = int(before.argmin())
        distance = before[nearest]
        if distance > found[nearest] + radius:
            found[new] = radius
        elif labels[nearest] == labels[new]:
            found[nearest] = found[nearest].maximum(distance)
        else:
            found[nearest] = (distance / 2 - _APART).clamp(min=0.0)
            found[new] = distance / 2
    return found.to(keys.device)


def nearest_within(
    apart: Float[Tensor, "queries keys"], radius: Float[Tensor, "#queries keys"]
) -> Float[Tensor, " queries"]:
    """The nearest key of each query if the query is within its radius, else -1.

    Args:
        apart: Distances.
        radius: Of each key, :data:`COVERED` where it does not count.
    """
    if not apart.shape[1]:
        return apart.new_full((len(apart),), -1.0)
    distance, nearest = torch.where(radius >= 0, apart, torch.inf).min(1)
    inside = distance <= radius.expand_as(apart).gather(1, nearest[:, None])[:, 0]
    return torch.where(inside, nearest, -1).float()


class Codebooks:
    """Radii of the sets of edits that were asked for lately."""

    def __init__(self) -> None:
        self._known: dict[tuple[float, tuple[str, ...]], Tensor] = {}

    def radii(
        self,
        names: Sequence[str],
        keys: Float[Tensor, "keys width"],
        radius: float,
        edits_of: ReadEdits,
    ) -> Float[Tensor, " keys"]:
        """The radii of some edits.

        Args:
            names: Of the edits, in the order in which they were made.
            keys: Theirs.
            radius: Of a new key.
            edits_of: Reads them.
        """
        known = (radius, tuple(names))
        found = self._known.get(known)
        if found is None:
            edits: Mapping[str, Edit] = edits_of(names)
            found = radii(keys, [edits[name].target for name in names], radius)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[known] = found
        return found
