"""Taking back edits of a method whose edits build on each other: later ones are made again.

What is made again takes the place of what it was made from: it supersedes it, and keeps its
question, answer, author, reason and time under a new name. Whoever names the old edit means it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple
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


class _Plan(NamedTuple):
    """What taking edits of a namespace back means."""

    gone: list[Edit]  # the edits, and all they were made again as
    before: list[Edit]  # what stays as it is, oldest first
    again: list[Edit]  # what is made again, on top of that


def revoke_by_replay(
    method: Method,
    store: Store,
    edit_ids: Sequence[str],
    *,
    author: str = "",
    reason: str = "",
    progress: bool = False,
) -> list[Edit]:
    """Take edits back, and make those that were made after them again without them.

    Only edits of the same namespaces that are in force are made again, each once. Either all of it
    is written, or nothing.

    Args:
        method: Makes edits.
        store: Where they are.
        edit_ids: Names of the edits, or of some that they were made again from; each once.
        author: Who takes them back.
        reason: Why.
        progress: Show a progress bar.

    Raises:
        UnknownEdit: There is none of one of the names, or it is revoked already.
        MethodCannot: The picture of a later edit is not kept.
        StoreError: The store cannot be written, or was meanwhile; nothing of it was.
    """
    revision = store.revision
    asked = [store.get(name) for name in edit_ids]
    spaces = dict.fromkeys(one.namespace for one in asked)
    plans = [_plan(store, [one for one in asked if one.namespace == space]) for space in spaces]
    new = _made_again(method, store, plans, progress=progress)
    store.replace(
        [one.id for plan in plans for one in plan.gone],
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
            "with: liveedit edit verify", len(lost), len(new.outcomes), lost[0],
        )  # fmt: skip
    return asked


def _plan(store: Store, asked: Sequence[Edit]) -> _Plan:
    """What becomes of a namespace without some of its edits."""
    known = _not_revoked(store, asked)
    versions = [[one for one in known if _same(one, wanted)] for wanted in asked]
    gone = {one.id: one for some in versions for one in some}
    rest = [one for one in known if one.id not in gone]
    superseded = {name for one in rest for name in one.supersedes}
    left = [one for one in rest if one.id not in superseded]
    left.sort(key=lambda one: store.row(one.id))
    now = {one.id for one in store.edits}
    # of an edit the version that is in force is its newest
    changed = [max(store.row(one.id) for one in some) for some in versions]
    changed += [store.row(one.id) for one in left if one.id not in now]
    before = [one for one in left if store.row(one.id) < min(changed)]
    return _Plan(list(gone.values()), before, left[len(before) :])


def _made_again(
    method: Method, store: Store, plans: Sequence[_Plan], *, progress: bool
) -> NewEdits:
    """Edits in place of others, on top of those before them, in stores that are thrown away."""
    pool = store.pool([])
    stated = [[_stated(method, store, one) for one in plan.again] for plan in plans]
    made = []
    count = sum(len(plan.again) for plan in plans)
    with tqdm(total=count, desc="replaying", unit="edit", disable=not (progress and count)) as bar:
        for plan, corrections in zip(plans, stated, strict=True):
            scratch = MemoryStore(method.layout, pictures=PictureRules(keep=Keep.off))
            rows = torch.tensor([store.row(one.id) for one in plan.before], dtype=torch.int64)
            scratch.add(plan.before, pool.keys[rows].whole, pool.take(rows))
            for old, correction in zip(plan.again, corrections, strict=True):
                edit = replace(old, id=uuid4().hex[:16], supersedes=(old.id, *old.supersedes))
                one = method.edit([edit], [correction], scratch, "never")
                scratch.add([edit], one.keys, one.values)
                made.append(one)
                bar.update()
    none = pool.keys[torch.zeros(0, dtype=torch.int64)].whole
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


def _not_revoked(store: Store, asked: Sequence[Edit]) -> list[Edit]:
    """Edits, those of their namespace that are in force, and those that these supersede."""
    in_force = [one for one in store.edits if one.namespace == asked[0].namespace]
    found = {one.id: one for one in (*asked, *in_force)}
    for name in [name for one in in_force for name in one.supersedes]:
        with suppress(UnknownEdit):  # of a store that this one was carried over from
            found |= store.some([name])
    return list(found.values())


def _same(one: Edit, other: Edit) -> bool:
    """Whether one was made again from the other, or both are one."""
    return (one.digest, one.created) == (other.digest, other.created)
