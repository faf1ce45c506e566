"""Edits that last: in a SQLite file or a PostgreSQL database, shared by threads and processes."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import RLock, get_ident

import torch
from jaxtyping import Int
from torch import Tensor

from liveedit.correction.images import Pictures
from liveedit.errors import DamagedEdit
from liveedit.store.base import Store
from liveedit.store.edit import Edit
from liveedit.store.edit_columns import columns_of
from liveedit.store.feature_files import FeatureFiles
from liveedit.store.index import Index, can_index
from liveedit.store.kept_pictures import keep_pictures
from liveedit.store.log import EditLog
from liveedit.store.packing import packed
from liveedit.store.picture_rules import PictureRules
from liveedit.store.picture_set import PictureSet
from liveedit.store.pool import Pool
from liveedit.store.records import Identity, NewEdit, StoredEdit
from liveedit.store.revisions import RevisionedRows, RevisionView
from liveedit.store.tensors import Keys, Values
from liveedit.store.value_cache import ValueCache

_log = logging.getLogger(__name__)
EXACT = 5_000  # so many edits are compared one by one; of more an index proposes some


class SqlStore(Store):
    """A store that other processes may read and write at the same time.

    Keys are held in memory and follow the log by revision number whenever a pool is
    asked for; values are read when a query is routed to them. An edit whose bytes are not what
    was written is left out, and named in :attr:`damaged`.

    Args:
        location: Path of a SQLite file, or URL of a PostgreSQL database.
        identity: What edits will be made with; a store that is not there is made. By default the
            store must exist, and its own identity is taken.
        device: Where the tensors live.
        dtype: What keys are held in; half precision halves the memory.
        exact: Up to so many edits a query is compared with all.
        kept: Edits whose values are kept after they were read.
        pictures: What a store that is made keeps of pictures; by default their files.

    Raises:
        StoreMismatch: The store's edits were made with something else.
        StoreUnusable, StoreTooNew, StoreTooOld, MissingExtra: See
            :class:`liveedit.store.log.EditLog`.
    """

    def __init__(
        self,
        location: str | Path,
        identity: Identity | None = None,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        exact: int = EXACT,
        kept: int = 1024,
        pictures: PictureRules | None = None,
    ) -> None:
        self.log = EditLog(location, identity, pictures=pictures)
        self.damaged: dict[str, str] = {}
        layout = self.log.identity.layout
        self._key_shapes = layout.key_shapes
        columns = {
            name: torch.empty(0, length, dtype=dtype) for name, length in layout.keys.items()
        }
        columns["sees"] = torch.empty(0, dtype=torch.bool)
        columns["number"] = torch.empty(0, dtype=torch.int64)
        self._device = torch.device(device)
        self._rows = RevisionedRows(tuple(layout.keys), columns, device=device)
        folder = self.log.database.companion("features", self.log.identity.digest)
        self._segments = FeatureFiles(folder, self.log, str(dtype).removeprefix("torch."))
        self._segments.load(self._rows)
        self._values = ValueCache(self.log, kept, self._name)
        self._exact = exact
        self._index: Index | None = None
        self._lock = RLock()
        self._writer: int | None = None  # the thread that is in a transaction
        self._staged: list[NewEdit] = []
        self._pictures = PictureSet()  # of staged edits
        self.follow()
        if can_index():
            self._index = self._segments.load_index(self._rows)
            self.follow()

    def __len__(self) -> int:
        self.follow()
        return int(self._view(None).in_force.sum())

    @property
    def revision(self) -> int:
        """Number of the newest revision that is followed; 0 if nothing was ever changed."""
        self.follow()
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
        self.follow()
        rows = self._view(revision).in_force.nonzero().flatten().tolist()
        ids = [self._rows.ids[row] for row in rows]
        return tuple(self.some(ids, revoked=True).values())

    def some(self, ids: Sequence[str], *, revoked: bool = False) -> dict[str, Edit]:
        """Those of some edits that are not revoked, by their names; read together.

        Args:
            ids: Their names.
            revoked: Whether they may be revoked.

        Raises:
            UnknownEdit: There is none of one of the names.
            DamagedEdit: One is not what was written.
        """
        for edit_id in ids:
            if edit_id in self.damaged:
                raise DamagedEdit(edit_id, self.damaged[edit_id])
        wanted = [one for one in ids if not self._rows.revoked(one) or revoked]
        found = {new.edit.id: new.edit for new in self._staged}
        written = [one for one in wanted if one not in found]
        found |= {row.edit.id: row.edit for row in self.log.stored(written, keys=False)}
        return {one: found[one] for one in wanted}

    def thumbnail(self, image: str) -> bytes | None:
        """The thumbnail (WEBP) of a picture; None if there is none, or it is damaged."""
        return self._pictures.thumbnails.get(image) or self.log.thumbnail(image)

    def parts(self, image: str) -> tuple[str, ...]:
        """Identities of the single pictures of an edit, in their order."""
        return self._pictures.parts.get(image) or self.log.parts(image)

    def files(self, image: str) -> tuple[bytes, ...]:
        """The pictures of an edit as files, in their order; empty if they are not kept."""
        return self._pictures.files_of(image) or self.log.files(image)

    def row(self, edit_id: str) -> int:
        """Which row of the pool an edit has, revoked or not."""
        return self._rows.row(edit_id)

    def follow(self) -> None:
        """Take up what others have written; not while a transaction of this process is open."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            if self._writer is None:
                self._follow()
        finally:
            self._lock.release()

    def add(
        self,
        edits: Sequence[Edit],
        keys: Keys,
        values: Values,
        pictures: Sequence[Pictures] | None = None,
    ) -> None:
        """Write edits as one revision; when this returns they last.

        Args:
            edits: What they are.
            keys: What queries are compared with.
            values: Their other tensors by name, one for each edit.
            pictures: Their pictures; thumbnails are kept, and they themselves by the store's rules.

        Raises:
            StoreError: It cannot be written; nothing of it was.
        """
        with self.transaction():
            first = len(self._staged)
            self._staged += packed(edits, keys, values)
            if pictures:
                keep_pictures(self._pictures, edits, pictures, self.log.picture_rules)
            self._rows.append(
                [edit.id for edit in edits],
                [edit.namespace for edit in edits],
                [edit.supersedes for edit in edits],
                {
                    **keys.vectors,
                    "sees": keys.sees,
                    "number": -1 - torch.arange(first, first + len(edits)),
                    "revision": torch.full((len(edits),), self._rows.published.revision + 1),
                },
            )

    def revoke_many(
        self, edit_ids: Sequence[str], *, author: str = "", reason: str = ""
    ) -> list[Edit]:
        """Put edits out of force, as one revision; see `Store.revoke_many`."""
        self.log.revoke(edit_ids, author=author, reason=reason)
        return self._changed(edit_ids)

    def restore_many(
        self, edit_ids: Sequence[str], *, author: str = "", reason: str = ""
    ) -> list[Edit]:
        """Take revocations back, as one revision; see `Store.restore_many`."""
        self.log.restore(edit_ids, author=author, reason=reason)
        return self._changed(edit_ids)

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
            StoreError: It cannot be written, or was meanwhile; nothing of it was.
        """
        if edits:
            rows = packed(edits, keys, values)
            self.log.append(rows, author=author, reason=reason, revoked=revoked, after=revision)
        else:
            self.log.revoke(revoked, author=author, reason=reason)
        self._refresh()

    @contextmanager
    def transaction(self, *, keep: bool = True) -> Iterator[None]:
        """Edits added within become one revision if all goes well; else none of them stays.

        Only this thread sees them before. They are written when the transaction ends.

        Args:
            keep: False to take them back in any case.
        """
        with self._lock:
            outer = self._writer
            if outer is None:
                self._follow()
            count, staged = len(self._rows), len(self._staged)
            self._writer = get_ident()
            final = False
            try:
                yield
                if keep and outer is None and self._staged:
                    final = self._write(count)
            except BaseException:
                keep = False
                raise
            finally:
                self._writer = outer
                if not keep or (outer is None and not final):
                    self._rows.truncate(count)
                if not keep or outer is None:
                    del self._staged[staged:]
                if outer is None:
                    self._pictures = PictureSet()
            if outer is None:
                self._follow()

    def pool(
        self,
        only: Collection[str] | None = None,
        *,
        namespaces: Sequence[str] = ("",),
        revision: int | None = None,
    ) -> Pool:
        """The edits of the newest revision, or an earlier one; values are read when taken.

        Args:
            only: Names of the edits that may be routed to; all in force by default.
            namespaces: The set of edits that each query is about; one for all of them.
            revision: An earlier state of the store; the present one by default.

        Raises:
            UnknownEdit: One of those named is unknown, revoked or damaged.
            UnknownRevision: It is still to come.
        """
        self.follow()
        view = self._view(revision)
        numbers, staged = view.tensors["number"], list(self._staged)

        def take(rows: Int[Tensor, " some"] | None) -> dict[str, list[Tensor]]:
            return self._take(numbers if rows is None else numbers[rows], staged)

        indexed = len(numbers) > self._exact
        return self._rows.pool(
            view,
            take,
            partial(self.some, revoked=True),
            self.thumbnail,
            only,
            namespaces,
            self._index if indexed else None,
        )

    def close(self) -> None:
        """Close all connections."""
        if self._index is not None:
            self._segments.keep_index(self._index, self._rows, closing=True)
        self.log.close()

    def _view(self, revision: int | None) -> RevisionView:
        if revision is not None:
            return self._rows.at(revision)
        if self._writer == get_ident():
            return self._rows.now(self._rows.published.revision + 1)
        return self._rows.published

    def _write(self, row: int) -> bool:
        """Write what is staged, which begins at a row; whether the rows can stay as they are.

        They cannot if another process has written meanwhile: then its edits come first.
        """
        news, authors = self._staged, {new.edit.author for new in self._staged}
        author = authors.pop() if len(authors) == 1 else ""
        shown = self._pictures.only({new.edit.image for new in news})
        revision, first = self.log.append(news, shown, author=author)
        if revision != self._rows.published.revision + 1:
            return False
        self._rows.fill("number", row, torch.arange(first, first + len(news)))
        self._rows.publish(revision)
        return True

    def _changed(self, edit_ids: Sequence[str]) -> list[Edit]:
        self._refresh()
        found = {row.edit.id: row.edit for row in self.log.stored(edit_ids, keys=False)}
        return [found[edit_id] for edit_id in edit_ids]

    def _refresh(self) -> None:
        """Follow even if another thread is at it just now."""
        with self._lock:
            if self._writer is None:
                self._follow()

    def _follow(self) -> None:
        self._read_news()
        rows, index = self._rows, self._index
        self._segments.keep(rows, self.damaged)
        # a search looks at a few rows more sooner than the index takes up each
        if index is not None and len(rows) > max(self._exact, index.count + self._exact // 20):
            index.follow(rows.published.key_rows)
            self._segments.keep_index(index, rows)

    def _read_news(self) -> None:
        rows = self._rows
        with self.log.since(rows.published.revision, rows.last("number")) as news:
            if news is None:
                return
            count = len(rows)
            try:
                for batch in news.batches:
                    self._take_up(batch)
            except BaseException:
                rows.truncate(count)
                raise
            for revision, kind, number in news.events:
                edit_id = self._name(number)
                if edit_id is not None:
                    change = rows.revoke if kind == "revoke" else rows.restore
                    change(edit_id, revision)
            rows.publish(news.revision)

    def _take_up(self, batch: Sequence[StoredEdit]) -> None:
        found = columns_of(batch, self._key_shapes, self._rows)
        self._rows.append(
            found.names,
            [row.edit.namespace for row in batch],
            [row.edit.supersedes for row in batch],
            found.columns,
        )
        for name, problem in found.problems.items():
            self._leave_out(name, problem)

    def _name(self, number: int) -> str | None:
        """Name of an edit in the pool by its number; None if there is none."""
        numbers = self._rows.now(0).tensors["number"]
        row = int(torch.searchsorted(numbers, number))
        found = row < len(numbers) and int(numbers[row]) == number
        return self._rows.ids[row] if found else None

    def _take(
        self, numbers: Int[Tensor, " some"], staged: Sequence[NewEdit]
    ) -> dict[str, list[Tensor]]:
        """Values by number; negative ones are not written yet.

        Raises:
            DamagedEdit: One is not what was written; from now on it is left out.
        """
        try:
            values = self._values.take(numbers.tolist(), staged)
        except DamagedEdit as error:
            self._leave_out(error.edit_id, error.problem)
            raise
        return {name: [one.to(self._device) for one in tensors] for name, tensors in values.items()}

    def _leave_out(self, edit_id: str, problem: str) -> None:
        self._rows.drop(edit_id)
        self.damaged[edit_id] = problem
        _log.error("%s", DamagedEdit(edit_id, problem))
