"""Edits of one process, in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from threading import RLock, get_ident

import torch
from jaxtyping import Int
from torch import Tensor

from liveedit.correction.images import Pictures
from liveedit.errors import StoreError, UnknownEdit
from liveedit.store.base import Store
from liveedit.store.edit import Edit
from liveedit.store.kept_pictures import keep_pictures
from liveedit.store.layout import Layout
from liveedit.store.picture_rules import PictureRules
from liveedit.store.picture_set import PictureSet
from liveedit.store.pool import Pool
from liveedit.store.revisions import RevisionedRows, RevisionView
from liveedit.store.tensors import Keys, Values


class MemoryStore(Store):
    """Edits of one process; gone with it.

    An edit is in force unless it is revoked, or superseded by one that is not revoked.

    Args:
        layout: Tensors of an edit.
        device: Where the tensors live.
        pictures: What is kept of pictures; by default their files.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        device: str | torch.device = "cpu",
        pictures: PictureRules | None = None,
    ) -> None:
        columns = {name: torch.empty(0, length) for name, length in layout.keys.items()}
        columns["sees"] = torch.empty(0, dtype=torch.bool)
        self._device = torch.device(device)
        self._values: dict[str, list[Tensor]] = {name: [] for name in layout.values}
        self._rows = RevisionedRows(tuple(layout.keys), columns, device=device)
        self._edits: dict[str, Edit] = {}
        self._pictures, self._rules = PictureSet(), pictures or PictureRules()
        self._lock = RLock()
        self._writer: int | None = None  # the thread that is in a transaction

    def __len__(self) -> int:
        return len(self.edits)

    @property
    def revision(self) -> int:
        """How many times the store has been changed."""
        return self._rows.published.revision

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The edits in force, oldest first."""
        return self.edits_at()

    def edits_at(self, revision: int | None = None) -> tuple[Edit, ...]:
        """The edits that were in force at a revision, or are now; oldest first.

        Raises:
            UnknownRevision: It is still to come.
        """
        rows = self._view(revision).in_force.nonzero().flatten().tolist()
        return tuple(self._edits[self._rows.ids[row]] for row in rows)

    def some(self, ids: Sequence[str], *, revoked: bool = False) -> dict[str, Edit]:
        """Those of some edits that are not revoked, by their names.

        Args:
            ids: Their names.
            revoked: Whether they may be revoked.

        Raises:
            UnknownEdit: There is none of one of the names.
        """
        return {one: self._edits[one] for one in ids if not self._rows.revoked(one) or revoked}

    def thumbnail(self, image: str) -> bytes | None:
        """The thumbnail (WEBP) of a picture that edits were made with; None if there is none."""
        return self._pictures.thumbnails.get(image)

    def parts(self, image: str) -> tuple[str, ...]:
        """Identities of the single pictures of an edit, in their order."""
        return self._pictures.parts.get(image, (image,))

    def files(self, image: str) -> tuple[bytes, ...]:
        """The pictures of an edit as files, in their order; empty if they are not kept."""
        return self._pictures.files_of(image)

    def row(self, edit_id: str) -> int:
        """Which row of the pool an edit has, revoked or not."""
        return self._rows.row(edit_id)

    def add(
        self,
        edits: Sequence[Edit],
        keys: Keys,
        values: Values,
        pictures: Sequence[Pictures] | None = None,
    ) -> None:
        """Take up edits, one row of the tensors each, and put those they supersede out of force.

        Args:
            edits: What they are.
            keys: What queries are compared with.
            values: Their other tensors by name, one for each edit.
            pictures: Their pictures; thumbnails are kept, and they themselves by the store's rules.
        """
        with self.transaction():
            self._rows.append(
                [edit.id for edit in edits],
                [edit.namespace for edit in edits],
                [edit.supersedes for edit in edits],
                {
                    **keys.vectors,
                    "sees": keys.sees,
                    "revision": torch.full((len(edits),), self.revision + 1),
                },
            )
            for name, held in self._values.items():
                held += [one.to(self._device) for one in values[name]]
            self._edits.update((edit.id, edit) for edit in edits)
            if pictures:
                keep_pictures(self._pictures, edits, pictures, self._rules)

    def revoke_many(
        self, edit_ids: Sequence[str], *, author: str = "", reason: str = ""
    ) -> list[Edit]:
        """Put edits out of force, as one revision; see `Store.revoke_many`."""
        with self._lock:
            edits = [self.get(edit_id) for edit_id in edit_ids]
            for edit in edits:
                self._rows.revoke(edit.id, self.revision + 1)
            self._rows.publish(self.revision + 1)
        return edits

    def restore_many(
        self, edit_ids: Sequence[str], *, author: str = "", reason: str = ""
    ) -> list[Edit]:
        """Take revocations back, as one revision; see `Store.restore_many`."""
        with self._lock:
            for edit_id in edit_ids:
                if not self._rows.revoked(edit_id):
                    raise UnknownEdit(edit_id, "revoked edit")
            for edit_id in edit_ids:
                self._rows.restore(edit_id, self.revision + 1)
            self._rows.publish(self.revision + 1)
        return [self._edits[edit_id] for edit_id in edit_ids]

    def replace(
        self,
        revoked: Sequence[str],
        edits: Sequence[Edit],
        keys: Keys,
        values: Values,
        *,
        revision: int,
        author: str = "",
        reason: str = "",
    ) -> None:
        """Put edits out of force and take up others, both or neither; see `Store.replace`.

        Raises:
            UnknownEdit: One is unknown or revoked already.
            StoreError: Another thread has changed the store meanwhile; nothing was changed.
        """
        with self._lock:
            if self.revision != revision:
                raise StoreError("the store was changed meanwhile; nothing was done: do it again")
            for edit_id in revoked:
                self.get(edit_id)
            with self.transaction():
                self.add(edits, keys, values)
                for edit_id in revoked:
                    self._rows.revoke(edit_id, revision + 1)
            if not edits:
                self._rows.publish(revision + 1)

    @contextmanager
    def transaction(self, *, keep: bool = True) -> Iterator[None]:
        """Edits added within become one revision if all goes well; else none of them stays.

        Only this thread sees them before.

        Args:
            keep: False to take them back in any case.
        """
        with self._lock:
            outer, count = self._writer, len(self._rows)
            self._writer = get_ident()
            try:
                yield
            except BaseException:
                keep = False
                raise
            finally:
                self._writer = outer
                if not keep:
                    for edit_id in self._rows.ids[count:]:
                        del self._edits[edit_id]
                    self._rows.truncate(count)
                    for held in self._values.values():
                        del held[count:]
                    shown = {edit.image for edit in self._edits.values()}
                    self._pictures = self._pictures.only(shown)
                elif outer is None and len(self._rows) > count:
                    self._rows.publish(self.revision + 1)

    def pool(
        self,
        only: Collection[str] | None = None,
        *,
        namespaces: Sequence[str] = ("",),
        revision: int | None = None,
    ) -> Pool:
        """What may be routed to; no tensor is copied.

        Args:
            only: Names of the edits that may be routed to; all in force by default.
            namespaces: The set of edits that each query is about; one for all of them.
            revision: An earlier state of the store; the present one by default.

        Raises:
            UnknownEdit: One of those named is unknown or revoked.
            UnknownRevision: It is still to come.
        """
        view = self._view(revision)

        def take(rows: Int[Tensor, " some"] | None) -> dict[str, list[Tensor]]:
            listed = range(len(view.in_force)) if rows is None else rows.tolist()
            return {name: [held[row] for row in listed] for name, held in self._values.items()}

        edits_of = partial(self.some, revoked=True)
        return self._rows.pool(view, take, edits_of, self.thumbnail, only, namespaces)

    def _view(self, revision: int | None) -> RevisionView:
        if revision is not None:
            return self._rows.at(revision)
        if self._writer == get_ident():
            return self._rows.now(self.revision + 1)
        return self._rows.published
