"""The log of a store: what was added, revoked and restored, revision by revision, as bytes."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from liveedit.errors import BadText, OtherMethod, StoreError, StoreMismatch, UnknownEdit
from liveedit.saving.fingerprint import other_numbers
from liveedit.store import crash_points, schema
from liveedit.store.checksums import checksum, edit_checksum
from liveedit.store.database import Database
from liveedit.store.log_reader import LogReader, newest_revision
from liveedit.store.opening import open_store
from liveedit.store.picture_rules import PictureRules
from liveedit.store.picture_set import PictureSet
from liveedit.store.picture_tables import (
    damaged_files,
    drop_files,
    set_rules,
    unused_files,
    write_files,
    write_thumbnails,
)
from liveedit.store.records import Identity, Kind, NewEdit

_log = logging.getLogger(__name__)
Drop: TypeAlias = Literal["unused", "damaged", "all"]
_edits, _experts = schema.edits, schema.experts
_revisions, _changes = schema.revisions, schema.changes


class EditLog(LogReader):
    """Reads and writes the tables of a store.

    Args:
        location: Path of a SQLite file, or URL of a PostgreSQL database.
        identity: What edits will be made with; a store that is not there is made. By default the
            store must exist, and its own identity is taken.
        migrate: Whether a store of an earlier release is brought to this one's schema.
        pictures: What a store that is made keeps of pictures; by default their files.

    Attributes:
        warning: What differs, if the store was made with the same model in other numbers.

    Raises:
        StoreMismatch, OtherMethod: The store's edits were made with something else.
        StoreTooNew, StoreTooOld: See there.
        StoreUnusable, MissingExtra: See :class:`liveedit.store.database.Database`.
    """

    def __init__(
        self,
        location: str | Path,
        identity: Identity | None = None,
        *,
        migrate: bool = True,
        pictures: PictureRules | None = None,
    ) -> None:
        database = Database(location, create=identity is not None)
        found = open_store(database, identity, migrate=migrate, pictures=pictures)
        super().__init__(database, found)
        self.warning: str | None = None
        if identity is not None:
            self.require(identity)

    def require(self, identity: Identity) -> None:
        """Make sure that the store's edits were made with this.

        The same model in another precision, or quantised, is taken with a :attr:`warning`: most
        edits hold, and `edit verify` says which.

        Raises:
            OtherMethod: They were made by another method.
            StoreMismatch: They were made with another backbone or editor.
        """
        if identity.method != self.identity.method:
            raise OtherMethod(self.location, expected=self.identity.method, found=identity.method)
        self.warning = None
        if identity == self.identity:
            return
        expected, found = _described(self.identity), _described(identity)
        differing = other_numbers(expected, found)
        if not differing:
            raise StoreMismatch(self.location, expected=expected, found=found)
        told = [f"{one}: store {expected.get(one)!r}, here {found.get(one)!r}" for one in differing]
        self.warning = (
            f"the edits in {self.location} were made with the same model in other numbers "
            f"({', '.join(told)}); see which of them hold with: liveedit edit verify"
        )
        _log.warning("%s", self.warning)

    def append(
        self,
        rows: Sequence[NewEdit],
        pictures: PictureSet | None = None,
        *,
        author: str = "",
        reason: str = "",
        revoked: Sequence[str] = (),
        after: int | None = None,
    ) -> tuple[int, int]:
        """Write edits as one revision; they are there when this returns, whatever happens then.

        Args:
            rows: The edits.
            pictures: Theirs; files are kept as far as the store's limits go.
            author: Whose revision it is.
            reason: What for.
            revoked: Edits that are taken back, as a revision before it; all or nothing is written.
            after: The revision that the store must have; any by default.

        Returns:
            The revision, and the number of the first edit; the others follow it.

        Raises:
            BadText: A text holds what a database cannot.
            UnknownEdit: One that is to be taken back is unknown or revoked already.
            StoreError: It cannot be written, or has another revision; nothing of it was.
        """
        for row in rows:
            _check_texts(row.edit.namespace, row.edit.author, row.edit.reason)
        with self.database.write() as connection:
            crash_points.reached("begun")
            if after is not None and newest_revision(connection) != after:
                raise StoreError(
                    f"{self.location} was written by somebody else meanwhile; nothing was changed: "
                    "do it again"
                )
            if revoked:
                self._note_changes(connection, "revoke", revoked, author, reason)
            revision = self._begin_revision(connection, "add", author, reason)
            first = (connection.scalar(sa.select(sa.func.max(_edits.c.number))) or 0) + 1
            crash_points.reached("revision")
            written = [
                self._written(number, revision, row) for number, row in enumerate(rows, first)
            ]
            try:
                connection.execute(_edits.insert(), written)
            except IntegrityError as error:
                raise StoreError(
                    f"one of the edits is in {self.location} already; leave it out"
                ) from error
            crash_points.reached("edits")
            connection.execute(
                _experts.insert(),
                [{"number": n, "tensors": row.values} for n, row in enumerate(rows, first)],
            )
            crash_points.reached("experts")
            if pictures is not None:
                write_thumbnails(connection, pictures.thumbnails)
                write_files(connection, pictures.files, pictures.parts)
            crash_points.reached("pictures")
        crash_points.reached("committed")
        return revision, first

    def revoke(self, edit_ids: Sequence[str], *, author: str = "", reason: str = "") -> int:
        """Take edits back, as one revision.

        Raises:
            UnknownEdit: One is unknown or revoked already; nothing was changed.
        """
        return self._change("revoke", edit_ids, author, reason)

    def restore(self, edit_ids: Sequence[str], *, author: str = "", reason: str = "") -> int:
        """Take revocations back, as one revision.

        Raises:
            UnknownEdit: One is unknown or not revoked; nothing was changed.
        """
        return self._change("restore", edit_ids, author, reason)

    def set_picture_rules(self, rules: PictureRules) -> None:
        """Keep so much of pictures from now on; what is kept stays."""
        with self.database.write() as connection:
            set_rules(connection, rules)

    def add_files(self, pictures: PictureSet) -> int:
        """Keep pictures of edits that are there already; how many were not kept before."""
        with self.database.write() as connection:
            return write_files(connection, pictures.files, pictures.parts)

    def drop_files(self, which: Drop) -> int:
        """Drop pictures that are kept; edits and thumbnails stay.

        Args:
            which: ``unused`` ones belong to revoked edits alone, ``damaged`` ones are not what was
                written; or ``all``.

        Returns:
            How many were dropped; `database.compact` gives their room back.
        """
        images = [] if which == "all" else self.images()
        with self.database.write() as connection:
            if which == "damaged":
                return drop_files(connection, list(damaged_files(connection)))
            return drop_files(connection, unused_files(connection, images))

    def _begin_revision(
        self, connection: sa.Connection, kind: Kind, author: str, reason: str
    ) -> int:
        _check_texts(author, reason)
        revision = newest_revision(connection) + 1
        connection.execute(
            _revisions.insert(),
            {
                "revision": revision,
                "kind": kind,
                "author": author,
                "reason": reason,
                "created": datetime.now(UTC).isoformat(),
            },
        )
        return revision

    def _written(self, number: int, revision: int, row: NewEdit) -> dict[str, object]:
        edit, sums = row.edit, (checksum(row.keys), checksum(row.values))
        return {
            **edit.as_json(),
            "supersedes": json.dumps(edit.supersedes),
            "rephrasings": json.dumps(edit.rephrasings, ensure_ascii=False),
            "number": number,
            "revision": revision,
            "digest": edit.digest,
            "fingerprint": self.identity.digest,
            "features": row.keys,
            "features_checksum": sums[0],
            "expert_checksum": sums[1],
            "checksum": edit_checksum(edit, *sums),
        }

    def _change(self, kind: Kind, edit_ids: Sequence[str], author: str, reason: str) -> int:
        with self.database.write() as connection:
            crash_points.reached("begun")
            revision = self._note_changes(connection, kind, edit_ids, author, reason)
            crash_points.reached("changes")
        crash_points.reached("committed")
        return revision

    def _note_changes(
        self,
        connection: sa.Connection,
        kind: Kind,
        edit_ids: Sequence[str],
        author: str,
        reason: str,
    ) -> int:
        revision = self._begin_revision(connection, kind, author, reason)
        crash_points.reached("revision")
        for edit_id in dict.fromkeys(edit_ids):
            number = connection.scalar(sa.select(_edits.c.number).where(_edits.c.id == edit_id))
            if number is None:
                raise UnknownEdit(edit_id)
            last = connection.scalar(
                sa.select(_revisions.c.kind)
                .join(_changes, _changes.c.revision == _revisions.c.revision)
                .where(_changes.c.edit == number)
                .order_by(_changes.c.revision.desc())
                .limit(1)
            )
            if (last == "revoke") == (kind == "revoke"):
                wanted = "edit in force" if kind == "revoke" else "revoked edit"
                raise UnknownEdit(edit_id, wanted)
            connection.execute(_changes.insert(), {"revision": revision, "edit": number})
        return revision


def _described(identity: Identity) -> dict[str, object]:
    return identity.fingerprint | {"tensors": identity.layout.as_json()}


def _check_texts(*texts: str) -> None:
    for text in texts:
        if "\0" in text:
            raise BadText("author, reason or namespace", "holds a NUL character; remove it")
