"""What the log of a store tells: edits, their bytes, and what was done, revision by revision.

Nothing here knows tensors, so that commands which only look at edits start at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

import sqlalchemy as sa

from liveedit.errors import DamagedEdit, UnknownEdit, UnknownRevision
from liveedit.store import schema
from liveedit.store.checksums import checksum
from liveedit.store.database import Database
from liveedit.store.edit import Edit
from liveedit.store.edit_rows import BATCH, batches, named
from liveedit.store.edit_states import EditStates
from liveedit.store.picture_rules import PictureRules
from liveedit.store.picture_tables import (
    PictureUse,
    lacking_files,
    parts_of,
    picture_use,
    read_files,
    rules_of,
)
from liveedit.store.records import Entry, Identity, News, Revision, StoredEdit

_edits, _experts = schema.edits, schema.experts
_revisions, _changes, _pictures = schema.revisions, schema.changes, schema.pictures
_NEWEST = sa.select(sa.func.max(_revisions.c.revision))


class LogReader:
    """Reads the tables of a store.

    Args:
        database: Where they are.
        identity: What the edits in it were made with.
    """

    def __init__(self, database: Database, identity: Identity) -> None:
        self.database, self.identity = database, identity
        self.location = database.location

    def close(self) -> None:
        """Close all connections."""
        self.database.close()

    @property
    def revision(self) -> int:
        """Number of the newest revision; 0 if nothing was ever changed."""
        with self.database.read() as connection:
            return newest_revision(connection)

    @contextmanager
    def since(self, revision: int, number: int) -> Iterator[News | None]:
        """What has come since a revision, of one snapshot; None if nothing has.

        Args:
            revision: What came later is told.
            number: But of edits only those behind this one.
        """
        with self.database.read() as connection:
            newest = newest_revision(connection)
            if newest == revision:
                yield None
                return
            events = connection.execute(
                sa.select(_changes.c.revision, _revisions.c.kind, _changes.c.edit)
                .join(_revisions, _revisions.c.revision == _changes.c.revision)
                .where(_changes.c.revision > revision)
                .order_by(_changes.c.revision)
            )
            # "+ 0" has them looked up by revision, in an index that is good where a page is not
            fresh = (_edits.c.revision > revision) & (_edits.c.number + 0 > number)
            yield News(
                revision=newest,
                events=[(when, kind, number) for when, kind, number in events],
                batches=batches(connection, fresh, made_with=self.identity.digest),
            )

    def checksum_of(self, number: int) -> str | None:
        """Checksum of all that was written of an edit; None if there is none."""
        with self.database.read() as connection:
            return connection.scalar(sa.select(_edits.c.checksum).where(_edits.c.number == number))

    def values(self, numbers: Sequence[int]) -> dict[int, bytes]:
        """Values by the number of the edit.

        Raises:
            DamagedEdit: One is not what was written.
        """
        found: dict[int, bytes] = {}
        with self.database.read() as connection:
            for start in range(0, len(numbers), BATCH):
                some = numbers[start : start + BATCH]
                query = (
                    sa.select(
                        _edits.c.number, _edits.c.id, _edits.c.expert_checksum, _experts.c.tensors
                    )
                    .outerjoin(_experts, _experts.c.number == _edits.c.number)
                    .where(_edits.c.number.in_(some))
                )
                for number, edit_id, wanted, tensors in connection.execute(query):
                    if tensors is None or checksum(tensors) != wanted:
                        raise DamagedEdit(edit_id, "its expert differs from what was written")
                    found[number] = tensors
        return found

    def entries(
        self,
        *,
        as_of: int | None = None,
        namespace: str | None = None,
        text: str | None = None,
        ids: Sequence[str] | None = None,
    ) -> list[Entry]:
        """Edits and what had become of them at a revision, oldest first.

        Args:
            as_of: The revision; the newest by default.
            namespace: Only of this set.
            text: Only those with this in prompt, target, author or reason, in any case.
            ids: Only these.

        Raises:
            UnknownRevision: It is still to come.
            UnknownEdit: One of the ids is unknown.
        """
        with self.database.read() as connection:
            as_of = self._checked_revision(connection, as_of)
            where = _edits.c.revision <= as_of
            if namespace is not None:
                where &= _edits.c.namespace == namespace
            if text is not None:
                columns = (_edits.c.prompt, _edits.c.target, _edits.c.author, _edits.c.reason)
                where &= sa.or_(*(c.icontains(text, autoescape=True) for c in columns))
            rows = self._rows(connection, where, ids, keys=False)
            states = EditStates(connection, as_of, rows, made_with=self.identity.digest)
        found = [
            Entry(edit=row.edit, revision=row.revision, state=states[row.edit.id]) for row in rows
        ]
        known = {entry.edit.id for entry in found}
        for one in ids or ():
            if one not in known:
                raise UnknownEdit(one)
        return found

    def stored(self, ids: Sequence[str], *, keys: bool = True) -> list[StoredEdit]:
        """Edits in the order of the log, with their keys if those are wanted."""
        with self.database.read() as connection:
            return self._rows(connection, sa.true(), ids, keys=keys)

    def known(self, digests: Sequence[str], namespace: str) -> dict[str, str]:
        """Which corrections have ever been in a namespace: names of the edits by their digest."""
        found: dict[str, str] = {}
        with self.database.read() as connection:
            for start in range(0, len(digests), BATCH):
                query = sa.select(_edits.c.digest, _edits.c.id).where(
                    _edits.c.digest.in_(digests[start : start + BATCH]),
                    _edits.c.namespace == namespace,
                )
                found.update((digest, edit_id) for digest, edit_id in connection.execute(query))
        return found

    def history(self, *, after: int = 0) -> list[Revision]:
        """The changes since a revision, oldest first."""
        with self.database.read() as connection:
            names: dict[int, list[str]] = {}
            for query in (
                sa.select(_edits.c.revision, _edits.c.id).order_by(_edits.c.number),
                sa.select(_changes.c.revision, _edits.c.id).join(
                    _edits, _edits.c.number == _changes.c.edit
                ),
            ):
                for revision, edit_id in connection.execute(query):
                    names.setdefault(revision, []).append(edit_id)
            rows = connection.execute(
                sa.select(_revisions)
                .where(_revisions.c.revision > after)
                .order_by(_revisions.c.revision)
            )
            return [
                Revision(
                    revision=row.revision,
                    kind=row.kind,
                    author=row.author,
                    reason=row.reason,
                    created=datetime.fromisoformat(row.created),
                    edits=tuple(names.get(row.revision, ())),
                )
                for row in rows
            ]

    def difference(self, old: int, new: int) -> tuple[list[Edit], list[Edit]]:
        """Edits in force at one revision and not at another: those that came, those that went.

        Raises:
            UnknownRevision: One is still to come.
        """
        before, after = (
            {e.edit.id: e.edit for e in self.entries(as_of=one) if e.state == "in force"}
            for one in (old, new)
        )
        came = [edit for edit_id, edit in after.items() if edit_id not in before]
        return came, [edit for edit_id, edit in before.items() if edit_id not in after]

    def thumbnail(self, image: str) -> bytes | None:
        """The thumbnail (WEBP) of a picture; None if there is none, or it is damaged."""
        with self.database.read() as connection:
            query = sa.select(_pictures).where(_pictures.c.image == image)
            row = connection.execute(query).first()
        return row.thumbnail if row and checksum(row.thumbnail) == row.checksum else None

    @property
    def picture_rules(self) -> PictureRules:
        """What the store keeps of pictures."""
        with self.database.read() as connection:
            return rules_of(connection)

    def images(self) -> list[str]:
        """Identities of the pictures of each edit that is not revoked and has one."""
        return [
            one.edit.image
            for one in self.entries()
            if one.state != "revoked" and one.edit.image is not None
        ]

    def picture_use(self) -> PictureUse:
        """How many pictures are kept, and what they take."""
        images = self.images()
        with self.database.read() as connection:
            return picture_use(connection, images)

    def without_files(self, images: Sequence[str]) -> list[str]:
        """Those of some identities of pictures that are not kept, but as thumbnails."""
        with self.database.read() as connection:
            return lacking_files(connection, images)

    def parts(self, image: str) -> tuple[str, ...]:
        """Identities of the single pictures of an edit, in their order."""
        with self.database.read() as connection:
            return parts_of(connection, image)

    def files(self, image: str) -> tuple[bytes, ...]:
        """The pictures of an edit as files, in their order; empty if they are not kept.

        Args:
            image: Identity of the picture, or of several together.
        """
        with self.database.read() as connection:
            return read_files(connection, image)

    def _rows(
        self,
        connection: sa.Connection,
        where: sa.ColumnElement[bool],
        ids: Sequence[str] | None,
        *,
        keys: bool,
    ) -> list[StoredEdit]:
        """Edits, all or those of some names, in the order of the log."""
        made_with = self.identity.digest
        if ids is None:
            found = batches(connection, where, made_with=made_with, keys=keys)
        else:
            found = named(connection, where, ids, made_with=made_with, keys=keys)
        return sorted((row for batch in found for row in batch), key=lambda row: row.number)

    def _checked_revision(self, connection: sa.Connection, revision: int | None) -> int:
        newest = newest_revision(connection)
        if revision is None:
            return newest
        if not 0 <= revision <= newest:
            raise UnknownRevision(revision, newest=newest)
        return revision


def newest_revision(connection: sa.Connection) -> int:
    """Number of the newest revision; 0 if nothing was ever changed."""
    return connection.scalar(_NEWEST) or 0
