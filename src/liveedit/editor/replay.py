"""Taking back an edit of a method whose edits build on each other: later ones are made again.

What is made again takes the place of what it was made from: it supersedes it, and keeps its
question, answer, author, reason and time under a new name. Whoever names the old edit means it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from uuid import uuid4

import torch
from tqdm import tqdm

from liveedit.correction import Correction
from liveedit.errors import MethodCannot, UnknownEdit
from liveedit.methods.base import Method
from liveedit.methods.outcome import NewEdits
from liveedit.store.base import Store
from liveedit.store.edit import Edit
from liveedit.store.memory import MemoryStore
from liveedit.store.picture_rules import Keep, PictureRules
from liveedit.store.recalled import recall
from liveedit.store.tensors import Keys

_log = logging.getLogger(__name__)


def revoke_by_replay(
    method: Method,
    store: Store,
    edit_id: str,
    *,
    author: str = "",
    reason: str = "",
    progress: bool = False,
) -> Edit:
    """Take an edit back, and make those that were made after it again without it.

    Only edits of the same namespace that are in force are made again. Either all of it is written,
    or nothing.

    Args:
        method: Makes edits.
        store: Where they are.
        edit_id: Name of the edit, or of one that it was made again from.
        author: Who takes it back.
        reason: Why.
        progress: Show a progress bar.

    Raises:
        UnknownEdit: There is none of that name, or it is revoked already.
        MethodCannot: The picture of a later edit is not kept.
        StoreError: The store cannot be written, or was meanwhile; nothing of it was.
    """
    revision = store.revision
    asked = store.get(edit_id)
    known = _not_revoked(store, asked)
    versions = [one for one in known if _same(one, asked)]
    rest = [one for one in known if one not in versions]
    gone = {name for one in rest for name in one.supersedes}
    left = sorted((one for one in rest if one.id not in gone), key=lambda one: store.row(one.id))
    now = {one.id for one in store.edits}
    changed = [max(store.row(one.id) for one in versions)]
    changed += [store.row(one.id) for one in left if one.id not in now]
    before = [one for one in left if store.row(one.id) < min(changed)]
    again = left[len(before) :]
    new = _made_again(method, store, before, again, progress=progress)
    store.replace(
        [one.id for one in versions],
        [one.edit for one in new.outcomes],
        new.keys,
        new.values,
        revision=revision,
        author=author,
        reason=reason,
    )
    lost = [one.edit.prompt for one in new.outcomes if one.reached is False]
    if lost:
        _log.warning(
            "%d of the %d edits that were made again are not reached any more, %r first; see them "
            "with: liveedit edit verify", len(lost), len(again), lost[0],
        )  # fmt: skip
    return asked


def _made_again(
    method: Method, store: Store, before: Sequence[Edit], again: Sequence[Edit], *, progress: bool
) -> NewEdits:
    """Edits in place of others, on top of those before them, in a store that is thrown away."""
    scratch = MemoryStore(method.layout, pictures=PictureRules(keep=Keep.off))
    pool = store.pool([])
    rows = torch.tensor([store.row(one.id) for one in before], dtype=torch.int64)
    scratch.add(before, pool.keys[rows].whole, pool.take(rows))
    stated = [_stated(method, store, one) for one in again]
    made = []
    bar = tqdm(again, desc="replaying", unit="edit", disable=not progress)
    for old, correction in zip(bar, stated, strict=True):
        edit = replace(old, id=uuid4().hex[:16], supersedes=(old.id, *old.supersedes))
        one = method.edit([edit], [correction], scratch, "never")
        scratch.add([edit], one.keys, one.values)
        made.append(one)
    none = pool.keys[rows[:0]].whole
    return NewEdits(
        outcomes=[outcome for one in made for outcome in one.outcomes],
        keys=Keys.join([none, *(one.keys for one in made)]),
        values={
            name: [tensor for one in made for tensor in one.values[name]]
            for name in method.layout.values
        },
    )


def _stated(method: Method, store: Store, edit: Edit) -> Correction:
    """A correction as it was stated."""
    again = recall(store, edit)
    if again.correction is None or again.shown != "whole":
        raise MethodCannot(
            method.name,
            f"take this edit back: it makes later ones again, and the picture of {edit.id} "
            "is not kept",
            instead="give the store the picture (liveedit store pictures --add), or correct the "
            "answer anew",
        )
    return again.correction


def _not_revoked(store: Store, asked: Edit) -> list[Edit]:
    """An edit, those of its namespace that are in force, and those that these supersede."""
    in_force = [one for one in store.edits if one.namespace == asked.namespace]
    found = {asked.id: asked} | {one.id: one for one in in_force}
    for name in [name for one in in_force for name in one.supersedes]:
        with suppress(UnknownEdit):  # of a store that this one was carried over from
            found |= store.some([name])
    return list(found.values())


def _same(one: Edit, other: Edit) -> bool:
    """Whether one was made again from the other, or both are one."""
    return (one.digest, one.created) == (other.digest, other.created)
