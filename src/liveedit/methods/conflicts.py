"""Earlier edits about the same as a new correction: repeated, contradicted, or merely alike.

The same is the same picture, pixel by pixel but for how it was saved, and the same question, also
in other words. What is merely alike (a look-alike, a neighbouring question) may both be true: it is
reported, and stays in force.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from liveedit.correction import Correction
from liveedit.methods.outcome import Conflict, Supersede
from liveedit.methods.shared.known_pictures import KnownPictures
from liveedit.methods.shared.sentence_encoder import encode_known
from liveedit.store.base import Store
from liveedit.store.edit import Edit
from liveedit.store.pool import Pool
from liveedit.store.tensors import Keys

_LOOKED_AT = 16  # nearest edits whose pictures are compared with a correction's
_SAME_WORDING = 0.7  # cosine of a sentence encoder; on validation corrections


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """How alike new edits are to others.

    Args:
        similarity: On the method's own scale, to sort by.
        alike: Which are so alike that one may contradict the other.
        asked: Which ask the same, also in other words.
        by_words: Which of these are the same only if a sentence encoder agrees; None for none.
    """

    similarity: Float[Tensor, "batch edits"]
    alike: Bool[Tensor, "batch edits"]
    asked: Bool[Tensor, "batch edits"]
    by_words: Bool[Tensor, "batch edits"] | None = None

    def only(self, pairs: Bool[Tensor, "batch edits"]) -> Likeness:
        """The same, of some pairs alone."""
        return replace(self, alike=self.alike & pairs, asked=self.asked & pairs)

    def ask_the_same(self, row: int, column: int, edit: Edit, other: Edit) -> bool:
        """Whether two corrections do."""
        if not self.asked[row, column]:
            return False
        doubtful = self.by_words is not None and bool(self.by_words[row, column])
        return not doubtful or _same_wording(edit, other)

    def nearest(self, row: int) -> Iterator[int]:
        """Columns that a row may be about the same as, the most alike first.

        Those that merely ask the same are looked at only among the nearest.
        """
        some = (self.alike[row] | self.asked[row]).nonzero().flatten()
        some = some[self.similarity[row, some].argsort(descending=True, stable=True)]
        matters = self.alike[row, some]
        matters[:_LOOKED_AT] = True
        yield from some[matters].tolist()


def find_conflicts(
    edits: Sequence[Edit],
    corrections: Sequence[Correction],
    store: Store,
    pool: Pool,
    likeness: Callable[[Pool | None], Likeness],
) -> list[tuple[Conflict, ...]]:
    """Edits that a batch of new ones repeats, contradicts or may contradict.

    Args:
        edits: The new edits; a later one may conflict with an earlier one of the batch.
        corrections: What they are of.
        store: Where the edits of the pool are.
        pool: What is in force for each new edit, or for all.
        likeness: The method's, of the new edits with those of the pool or, for None, with each
            other.
    """
    before = likeness(pool).only(pool.eligible)
    spaces = {edit.namespace: number for number, edit in enumerate(edits)}
    space = pool.eligible.new_tensor([spaces[edit.namespace] for edit in edits], dtype=torch.int64)
    among = likeness(None).only((space[:, None] == space).tril(-1))
    stated = {edit.image: one.image for edit, one in zip(edits, corrections, strict=True)}
    known = KnownPictures(store.thumbnail, stated)
    found = []
    for row, edit in enumerate(edits):
        new = [(edits[at], among, at) for at in among.nearest(row)]
        old = [(store.get(pool.ids[at]), before, at) for at in before.nearest(row)]
        several = sorted(
            new + old, key=lambda one: one[1].similarity[row, one[2]].item(), reverse=True
        )
        conflicts = []
        for place, (other, alike, at) in enumerate(several):
            same = (
                place < _LOOKED_AT
                and alike.ask_the_same(row, at, edit, other)
                and known.same(edit.image, corrections[row].image, other.image)
            )
            kind = _kind(edit, other, same=same, alike=bool(alike.alike[row, at]))
            if kind is not None:
                similarity = alike.similarity[row, at].item()
                conflicts.append(Conflict(edit=other, kind=kind, similarity=similarity))
        found.append(tuple(conflicts))
    return found


def superseding(
    edits: Sequence[Edit], conflicts: Sequence[Sequence[Conflict]], which: Supersede
) -> list[Edit]:
    """The edits, each naming all that it puts out of force, beside what it names already.

    These are the edits it contradicts, and those that they in turn superseded: if one in the
    middle is revoked, what it had replaced stays replaced.
    """
    kinds = {"same": ("contradicts",), "alike": ("contradicts", "alike"), "never": ()}[which]
    named: dict[str, Edit] = {}
    for edit, found in zip(edits, conflicts, strict=True):
        gone = list(edit.supersedes)
        for conflict in found:
            if conflict.kind in kinds:
                other = named.get(conflict.edit.id, conflict.edit)
                gone += [other.id, *other.supersedes]
        named[edit.id] = replace(edit, supersedes=tuple(dict.fromkeys(gone)))
    return list(named.values())


def settled(
    edits: Sequence[Edit],
    corrections: Sequence[Correction],
    store: Store,
    pool: Pool,
    keys: Keys,
    likeness: Callable[[Keys, Keys], Likeness],
    which: Supersede,
) -> tuple[list[Edit], list[tuple[Conflict, ...]]]:
    """Both of the above, for methods that compare corrections by the keys they are stored with.

    Args:
        edits: The new edits.
        corrections: What they are of.
        store: Where the edits of the pool are.
        pool: What is in force for each new edit, or for all.
        keys: Of the new edits.
        likeness: Compares keys with others.
        which: Earlier edits that go out of force.

    Returns:
        The edits, each naming what it supersedes, and what each repeats or contradicts.
    """
    conflicts = find_conflicts(
        edits,
        corrections,
        store,
        pool,
        lambda other: likeness(keys, keys if other is None else other.keys.whole),
    )
    return superseding(edits, conflicts, which), conflicts


def _same_wording(edit: Edit, other: Edit) -> bool:
    some = encode_known([edit.prompt, *edit.rephrasings])
    others = encode_known([other.prompt, *other.rephrasings])
    return bool((some @ others.T).max() > _SAME_WORDING)


def _kind(
    edit: Edit, other: Edit, *, same: bool, alike: bool
) -> Literal["contradicts", "repeats", "alike"] | None:
    repeated = _words(other.target) == _words(edit.target)
    if same:
        return "repeats" if repeated else "contradicts"
    return "alike" if alike and not repeated else None


def _words(target: str) -> list[str]:
    return target.casefold().split()
