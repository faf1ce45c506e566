"""Earlier edits about the same as a new correction: repeated, or contradicted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from liveedit.methods.liveedit.config import LiveEditConfig
from liveedit.methods.liveedit.routing import EditFeatures
from liveedit.methods.liveedit.tensors import features_of
from liveedit.methods.outcome import Conflict
from liveedit.store.edit import Edit
from liveedit.store.pool import Pool


def likeness(one: EditFeatures, other: EditFeatures) -> Float[Tensor, "batch edits"]:
    """How far corrections and edits are about the same: the smaller of two mean cosines.

    Text-only ones are compared by their questions alone, and with text-only ones alone.
    """
    asked = one.prompt @ other.prompt.T
    seen = torch.where(one.sees[:, None], one.vision @ other.vision.T, 1.0)
    return asked.minimum(seen).masked_fill(one.sees[:, None] != other.sees, -1.0)


def find_conflicts(
    edits: Sequence[Edit],
    features: EditFeatures,
    pool: Pool,
    earlier: Callable[[str], Edit],
    config: LiveEditConfig,
) -> list[tuple[Conflict, ...]]:
    """Edits that a batch of new ones repeats or contradicts, the most alike first.

    Args:
        edits: The new edits; a later one may conflict with an earlier one of the batch.
        features: Their routing features.
        pool: What is in the store, eligible for each new edit or for all.
        earlier: The edit of a name.
        config: How alike two edits about the same are.
    """
    spaces = {edit.namespace: number for number, edit in enumerate(edits)}
    space = torch.tensor([spaces[edit.namespace] for edit in edits])
    together = (space[:, None] == space).tril(-1).to(features.sees.device)
    before = likeness(features, features_of(pool.keys.whole)).masked_fill(~pool.eligible, -1.0)
    among = likeness(features, features).masked_fill(~together, -1.0)
    same = torch.where(features.sees, config.same, config.same_text)[:, None]
    found: list[list[Conflict]] = [[] for _ in edits]
    alike = [
        (row, earlier(pool.ids[column]), before[row, column].item())
        for row, column in (before > same).nonzero().tolist()
    ] + [
        (row, edits[column], among[row, column].item())
        for row, column in (among > same).nonzero().tolist()
    ]
    for row, other, score in alike:
        repeats = _words(other.target) == _words(edits[row].target)
        kind: Literal["contradicts", "repeats"] = "repeats" if repeats else "contradicts"
        found[row].append(Conflict(edit=other, kind=kind, similarity=score))
    return [
        tuple(sorted(conflicts, key=lambda one: one.similarity, reverse=True))
        for conflicts in found
    ]


def superseding(edits: Sequence[Edit], conflicts: Sequence[Sequence[Conflict]]) -> list[Edit]:
    """The edits, each naming all that it puts out of force.

    These are the edits it contradicts, and those that they in turn superseded: if one in the
    middle is revoked, what it had replaced stays replaced.
    """
    named: dict[str, Edit] = {}
    for edit, found in zip(edits, conflicts, strict=True):
        gone: list[str] = []
        for conflict in found:
            if conflict.kind == "contradicts":
                other = named.get(conflict.edit.id, conflict.edit)
                gone += [other.id, *other.supersedes]
        named[edit.id] = replace(edit, supersedes=tuple(dict.fromkeys(gone)))
    return list(named.values())


def _words(target: str) -> list[str]:
    return target.casefold().split()
