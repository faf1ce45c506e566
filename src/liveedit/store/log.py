"""The log of a store: what was added, revoked and restored, revision by revision, as bytes.

Nothing here knows tensors, so that commands which only look at edits start at once.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from liveedit.errors import (
    BadText,
    DamagedEdit,
    StoreError,
    StoreMismatch,
    StoreReadOnly,
    StoreTooNew,
    StoreTooOld,
    StoreUnusable,
    UnknownEdit,
    UnknownRevision,
)
from liveedit.store import schema
from liveedit.store.checksums import checksum, edit_checksum
from liveedit.store.database import Database
from liveedit.store.edit import Edit
from liveedit.store.force import Force
from liveedit.store.records import (
    CheckReport,
    Entry,
    Identity,
    Kind,
    NewEdit,
    News,
    Revision,
    State,
    StoredEdit,
)

_log = logging.getLogger(__name__)
_BATCH = 1024  # rows that are read together
_edits, _experts = schema.edits, schema.experts
_revisions, _changes, _pictures = schema.revisions, schema.changes, schema.pictures


def reached(point: str) -> None:
    """Does nothing. Tests of crashes put something else here to stop a process at this point."""


class EditLog:
    """Reads and writes the tables of a store.

    Args:
        location: Path of a SQLite file, or URL of a PostgreSQL database.
        identity: What edits will be made with; a store that is not there is made. By default the
            store must exist, and its own identity is taken.
        migrate: Whether a store of an earlier release is brought to this one's schema.

    Raises:
        StoreMismatch: The store's edits were made with something else.
        StoreTooNew, StoreTooOld: See there.
        StoreUnusable, MissingExtra: See :class:`liveedit.store.database.Database`.
    """

    def __init__(
        self, location: str | Path, identity: Identity | None = None, *, migrate: bool = True
    ) -> None:
        self.database = Database(location, create=identity is not None)
        self.location = self.database.location
        with self.database.read() as connection:
            found = _schema_of(connection)
        if found is None:
            if identity is None:
                raise StoreUnusable(
                    f"{self.location} holds no store; give another, or make one with: "
                    "liveedit edit add"
                )
            self._create(identity)
        elif found != schema.VERSION:
            self._migrate(found, allowed=migrate)
        self.identity = self._identity()
        if identity is not None:
            self.require(identity)

    def require(self, identity: Identity) -> None:
        """Make sure that the store's edits were made with this.

        Raises:
            StoreMismatch: They were not.
        """
        if identity != self.identity:
            raise StoreMismatch(
                self.location, expected=_described(self.identity), found=_described(identity)
            )

    def close(self) -> None:
        """Close all connections."""
        self.database.close()

    @property
    def revision(self) -> int:
        """Number of the newest revision; 0 if nothing was ever changed."""
        with self.database.read() as connection:
            return _newest(connection)

    def append(
        self,
        rows: Sequence[NewEdit],
        pictures: dict[str, bytes] | None = None,
        *,
        author: str = "",
        reason: str = "",
    ) -> tuple[int, int]:
        """Write edits as one revision; they are there when this returns, whatever happens then.

        Args:
            rows: The edits.
            pictures: Thumbnails by the identity of the picture.
            author: Whose revision it is.
            reason: What for.

        Returns:
            The revision, and the number of the first edit; the others follow it.

        Raises:
            BadText: A text holds what a database cannot.
            StoreError: It cannot be written; nothing of it was.
        """
        for row in rows:
            _check_texts(row.edit.namespace, row.edit.author, row.edit.reason)
        with self.database.write() as connection:
            reached("begun")
            revision = self._begin_revision(connection, "add", author, reason)
            first = (connection.scalar(sa.select(sa.func.max(_edits.c.number))) or 0) + 1
            reached("revision")
            written = [
                self._written(number, revision, row) for number, row in enumerate(rows, first)
            ]
            try:
                connection.execute(_edits.insert(), written)
            except IntegrityError as error:
                raise StoreError(
                    f"one of the edits is in {self.location} already; leave it out"
                ) from error
            reached("edits")
            connection.execute(
                _experts.insert(),
                [{"number": n, "tensors": row.expert} for n, row in enumerate(rows, first)],
            )
            reached("experts")
            self._write_pictures(connection, pictures or {})
            reached("pictures")
        reached("committed")
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

    @contextmanager
    def since(self, revision: int, number: int) -> Iterator[News | None]:
        """What has come since a revision, of one snapshot; None if nothing has.

        Args:
            revision: What was revoked and restored later is told.
            number: Edits behind this one are read.
        """
        with self.database.read() as connection:
            newest = _newest(connection)
            if newest == revision:
                yield None
                return
            events = connection.execute(
                sa.select(_changes.c.revision, _revisions.c.kind, _changes.c.edit)
                .join(_revisions, _revisions.c.revision == _changes.c.revision)
                .where(_changes.c.revision > revision)
                .order_by(_changes.c.revision)
            )
            yield News(
                revision=newest,
                events=[(when, kind, number) for when, kind, number in events],
                batches=self._batches(connection, _edits.c.number > number),
            )

    def checksum_of(self, number: int) -> str | None:
        """Checksum of all that was written of an edit; None if there is none."""
        with self.database.read() as connection:
            return connection.scalar(sa.select(_edits.c.checksum).where(_edits.c.number == number))

    def experts(self, numbers: Sequence[int]) -> dict[int, bytes]:
        """Experts by the number of the edit.

        Raises:
            DamagedEdit: One is not what was written.
        """
        found: dict[int, bytes] = {}
        with self.database.read() as connection:
            for start in range(0, len(numbers), _BATCH):
                some = numbers[start : start + _BATCH]
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
            force, damaged = self._force(connection, as_of)
            where = _edits.c.revision <= as_of
            if namespace is not None:
                where &= _edits.c.namespace == namespace
            if ids is not None:
                where &= _edits.c.id.in_(ids)
            if text is not None:
                columns = (_edits.c.prompt, _edits.c.target, _edits.c.author, _edits.c.reason)
                where &= sa.or_(*(c.icontains(text, autoescape=True) for c in columns))
            found = []
            for batch in self._batches(connection, where, features=False):
                for row in batch:
                    state: State = "in force"
                    if row.edit.id in damaged:
                        state = "damaged"
                    elif row.edit.id in force.revoked:
                        state = "revoked"
                    elif force.superseded(row.edit.id):
                        state = "superseded"
                    found.append(Entry(edit=row.edit, revision=row.revision, state=state))
        for one in ids or ():
            if not any(entry.edit.id == one for entry in found):
                raise UnknownEdit(one)
        return found

    def stored(self, ids: Sequence[str]) -> list[StoredEdit]:
        """Edits with their features, in the order of the log."""
        with self.database.read() as connection:
            found = []
            for start in range(0, len(ids), _BATCH):
                where = _edits.c.id.in_(ids[start : start + _BATCH])
                found += [row for batch in self._batches(connection, where) for row in batch]
        return sorted(found, key=lambda row: row.number)

    def known(self, digests: Sequence[str], namespace: str) -> dict[str, str]:
        """Which corrections have ever been in a namespace: names of the edits by their digest."""
        found: dict[str, str] = {}
        with self.database.read() as connection:
            for start in range(0, len(digests), _BATCH):
                query = sa.select(_edits.c.digest, _edits.c.id).where(
                    _edits.c.digest.in_(digests[start : start + _BATCH]),
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

    def picture(self, image: str) -> bytes | None:
        """The thumbnail (WEBP) of a picture; None if there is none, or it is damaged."""
        with self.database.read() as connection:
            query = sa.select(_pictures).where(_pictures.c.image == image)
            row = connection.execute(query).first()
        return row.thumbnail if row and checksum(row.thumbnail) == row.checksum else None

    def check(self, progress: Callable[[int], object] = lambda rows: None) -> CheckReport:
        """Read everything again and compare it with its checksums.

        Args:
            progress: Told of the rows that were read.
        """
        report = CheckReport()
        with self.database.read() as connection:
            for look in (self._check_file, self._check_edits, self._check_pictures):
                try:
                    look(connection, report, progress)
                except DBAPIError as error:
                    report.problems.append(f"the database: {error.orig}")
        return report

    def _check_file(
        self, connection: sa.Connection, report: CheckReport, _: Callable[[int], object]
    ) -> None:
        if self.database.file is not None:
            found = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
            report.problems += [f"the database: {line}" for line in found if line != "ok"]
        newest = _newest(connection)
        report.revisions = connection.scalar(sa.select(sa.func.count(_revisions.c.revision))) or 0
        if report.revisions != newest:
            report.problems.append(f"{report.revisions} revisions, of which the last is {newest}")

    def _check_edits(
        self, connection: sa.Connection, report: CheckReport, progress: Callable[[int], object]
    ) -> None:
        from liveedit.store.format import BadBytes, unpack

        shapes = self.shapes()
        known = set(connection.scalars(sa.select(_pictures.c.image)))
        last = connection.scalar(sa.select(sa.func.max(_edits.c.number))) or 0
        for batch in self._batches(connection, sa.true()):
            for row in batch:
                report.edits += 1
                problem = row.problem
                try:
                    if problem is None:
                        unpack(row.features, shapes["features"])
                except BadBytes as error:
                    problem = f"features: {error}"
                if problem is None:
                    problem = self._expert_problem(row, shapes["expert"])
                if problem is None and row.edit.image and row.edit.image not in known:
                    problem = "its picture is missing"
                if problem:
                    report.problems.append(f"edit {row.edit.id}: {problem}")
            progress(len(batch))
        if report.edits != last:
            report.problems.append(f"{report.edits} edits, of which the last is number {last}")

    def _check_pictures(
        self, connection: sa.Connection, report: CheckReport, _: Callable[[int], object]
    ) -> None:
        for image, data, wanted in connection.execute(sa.select(_pictures)):
            if checksum(data) != wanted:
                report.problems.append(f"picture {image}: differs from what was written")

    def shapes(self) -> dict[str, dict[str, tuple[int, ...]]]:
        """Tensors of an edit: routing features, and expert."""
        one = self.identity
        return {
            "features": {"vision": (one.features,), "prompt": (one.features,)},
            "expert": {"u": (one.rank, one.width), "v": (one.rank, one.width)},
        }

    def _expert_problem(self, row: StoredEdit, shapes: dict[str, tuple[int, ...]]) -> str | None:
        from liveedit.store.format import BadBytes, unpack

        try:
            found = self.experts([row.number])
            unpack(found[row.number], shapes)
        except DamagedEdit as error:
            return error.problem
        except (BadBytes, KeyError, StoreUnusable) as error:
            return f"expert: {error}"
        return None

    def _create(self, identity: Identity) -> None:
        with self.database.write() as connection:
            if _schema_of(connection) is not None:  # another process was faster
                return
            reached("empty")
            schema.metadata.create_all(connection)
            reached("tables")
            connection.exec_driver_sql(
                "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"
            )
            connection.execute(
                sa.text("INSERT INTO alembic_version VALUES (:version)"),
                {"version": schema.VERSION},
            )
            connection.execute(
                schema.stores.insert(),
                {
                    "id": 1,
                    "fingerprint": json.dumps(identity.fingerprint, sort_keys=True),
                    "rank": identity.rank,
                    "width": identity.width,
                    "features": identity.features,
                    "created": datetime.now(UTC).isoformat(),
                },
            )
            reached("identity")

    def _migrate(self, found: str, *, allowed: bool) -> None:
        from liveedit.store.migrate import known_versions, upgrade

        if found not in known_versions():
            raise StoreTooNew(self.location, schema=found)
        if not allowed:
            raise StoreTooOld(self.location)
        _log.info("migrating %s from schema %s to %s", self.location, found, schema.VERSION)
        try:
            with self.database.write() as connection:
                upgrade(connection)
                reached("migrated")
        except StoreReadOnly as error:
            raise StoreTooOld(self.location) from error

    def _identity(self) -> Identity:
        with self.database.read() as connection:
            row = connection.execute(sa.select(schema.stores)).one()
        return Identity(
            fingerprint=json.loads(row.fingerprint),
            rank=row.rank,
            width=row.width,
            features=row.features,
        )

    def _begin_revision(
        self, connection: sa.Connection, kind: Kind, author: str, reason: str
    ) -> int:
        _check_texts(author, reason)
        revision = _newest(connection) + 1
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
        edit, sums = row.edit, (checksum(row.features), checksum(row.expert))
        return {
            **edit.as_json(),
            "supersedes": json.dumps(edit.supersedes),
            "number": number,
            "revision": revision,
            "digest": edit.digest,
            "fingerprint": self.identity.digest,
            "features": row.features,
            "features_checksum": sums[0],
            "expert_checksum": sums[1],
            "checksum": edit_checksum(edit, *sums),
        }

    def _write_pictures(self, connection: sa.Connection, pictures: dict[str, bytes]) -> None:
        query = sa.select(_pictures.c.image).where(_pictures.c.image.in_(list(pictures)))
        known = set(connection.scalars(query)) if pictures else set()
        fresh = [
            {"image": image, "thumbnail": data, "checksum": checksum(data)}
            for image, data in pictures.items()
            if image not in known
        ]
        if fresh:
            connection.execute(_pictures.insert(), fresh)

    def _change(self, kind: Kind, edit_ids: Sequence[str], author: str, reason: str) -> int:
        with self.database.write() as connection:
            reached("begun")
            revision = self._begin_revision(connection, kind, author, reason)
            reached("revision")
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
            reached("changes")
        reached("committed")
        return revision

    def _checked_revision(self, connection: sa.Connection, revision: int | None) -> int:
        newest = _newest(connection)
        if revision is None:
            return newest
        if not 0 <= revision <= newest:
            raise UnknownRevision(revision, newest=newest)
        return revision

    def _force(self, connection: sa.Connection, as_of: int) -> tuple[Force[str], set[str]]:
        """What is in force, and which edits are damaged."""
        force: Force[str] = Force()
        damaged: set[str] = set()
        names: dict[int, str] = {}
        for batch in self._batches(connection, _edits.c.revision <= as_of, features=False):
            for row in batch:
                names[row.number] = row.edit.id
                force.add(row.edit.id, row.edit.supersedes)
                if row.problem:
                    damaged.add(row.edit.id)
        events = connection.execute(
            sa.select(_revisions.c.kind, _changes.c.edit)
            .join(_changes, _changes.c.revision == _revisions.c.revision)
            .where(_changes.c.revision <= as_of)
            .order_by(_changes.c.revision)
        )
        for kind, number in events:
            if number in names:
                change = force.revoke if kind == "revoke" else force.restore
                change(names[number])
        return force, damaged

    def _batches(
        self, connection: sa.Connection, where: sa.ColumnElement[bool], *, features: bool = True
    ) -> Iterator[list[StoredEdit]]:
        """Edits in the order of the log, so many at a time."""
        first, last = connection.execute(
            sa.select(sa.func.min(_edits.c.number), sa.func.max(_edits.c.number)).where(where)
        ).one()
        if first is None:
            return
        columns = [c for c in _edits.c if features or c.name != "features"]
        for start in range(first, last + 1, _BATCH):
            query = sa.select(*columns).where(where).order_by(_edits.c.number)

            def some(low: int, high: int, query: sa.Select[Any] = query) -> list[StoredEdit]:
                rows = connection.execute(query.where(_edits.c.number.between(low, high)))
                return [self._read(row, features=features) for row in rows]

            try:
                yield some(start, start + _BATCH - 1)
            except DBAPIError:
                if self.database.file is None:
                    raise
                yield self._one_by_one(start, min(start + _BATCH, last + 1), some)

    def _one_by_one(
        self, start: int, end: int, some: Callable[[int, int], list[StoredEdit]]
    ) -> list[StoredEdit]:
        """What can still be read where a page of the file is damaged."""
        found = []
        for number in range(start, end):
            try:
                found += some(number, number)
            except DBAPIError as error:
                edit = Edit(id=f"number {number}", prompt="", target="", image=None)
                found.append(
                    StoredEdit(
                        number=number, revision=0, edit=edit, features=b"", problem=str(error.orig)
                    )
                )
        return found

    def _read(self, row: Any, *, features: bool) -> StoredEdit:
        problem = None
        try:
            edit = Edit(
                id=row.id,
                namespace=row.namespace,
                image=row.image,
                prompt=row.prompt,
                target=row.target,
                author=row.author,
                reason=row.reason,
                created=datetime.fromisoformat(row.created),
                supersedes=tuple(json.loads(row.supersedes)),
            )
        except (ValueError, TypeError) as error:
            gone = tuple(re.findall(r'"([^"]*)"', str(row.supersedes)))
            edit = Edit(id=str(row.id), prompt="", target="", image=None, supersedes=gone)
            problem = f"cannot be read: {error}"
        if problem is None:
            sums = row.features_checksum, row.expert_checksum
            if row.fingerprint != self.identity.digest:
                problem = "was made with another backbone or editor"
            elif edit_checksum(edit, *sums) != row.checksum:
                problem = "differs from what was written"
            elif features and checksum(row.features) != row.features_checksum:
                problem = "its features differ from what was written"
            elif edit.digest != row.digest:
                problem = "is not found by its content"
        return StoredEdit(
            number=row.number,
            revision=row.revision,
            edit=edit,
            features=row.features if features else b"",
            problem=problem,
        )


def _newest(connection: sa.Connection) -> int:
    return connection.scalar(sa.select(sa.func.max(_revisions.c.revision))) or 0


def _schema_of(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.scalar(sa.text("SELECT version_num FROM alembic_version"))


def _described(identity: Identity) -> dict[str, object]:
    return identity.fingerprint | {
        "rank": identity.rank, "width": identity.width, "features": identity.features
    }  # fmt: skip


def _check_texts(*texts: str) -> None:
    for text in texts:
        if "\0" in text:
            raise BadText("author, reason or namespace", "holds a NUL character; remove it")
