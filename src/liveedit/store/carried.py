"""What a store notes of another one whose corrections are carried over to it.

Edits that are made keep their names, so that they say for themselves that they were carried. Noted
are the source, and the corrections that needed no edit or of which none could be made.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias

import sqlalchemy as sa

from liveedit.errors import BadRebase, StoreUnusable
from liveedit.store import schema
from liveedit.store.log import EditLog
from liveedit.store.log_reader import LogReader

Verdict: TypeAlias = Literal["already right", "not reached"]
_stores, _carried = schema.stores, schema.carried


@dataclass(frozen=True, kw_only=True)
class Note:
    """A correction that was looked at, and became no edit.

    Args:
        edit: Name of the edit in the other store.
        outcome: What came of it.
        note: Why, for people.
    """

    edit: str
    outcome: Verdict
    note: str = ""


def source_of(log: LogReader) -> dict[str, str] | None:
    """The store whose corrections are carried over to this one; None if there is none."""
    with log.database.read() as connection:
        if not sa.inspect(connection).has_table(_carried.name):
            return None
        told = connection.scalar(sa.select(_stores.c.source))
    return json.loads(told) if told else None


def described(log: LogReader) -> dict[str, str]:
    """What a store is known by: its place, which may change, and what does not."""
    with log.database.read() as connection:
        created = connection.scalar(sa.select(_stores.c.created)) or ""
    identity = log.identity
    return {
        "location": log.location,
        "created": created,
        "method": identity.method,
        "made_with": identity.digest,
    }


def refuse_target(old: LogReader, location: str | Path) -> None:
    """Make sure that corrections may be carried over to a store, before any work.

    Args:
        old: Where they are.
        location: Of the store that they shall go to; it need not be there.

    Raises:
        BadRebase: It is the same store, or holds what was not carried over from this one.
        StoreError: It cannot be used.
    """
    file = Path(location)
    if str(location) == old.location or (
        old.database.file is not None and file.exists() and file.samefile(old.database.file)
    ):
        raise BadRebase(f"{location} is the store itself; give another file or database as --to")
    try:
        new = EditLog(location, migrate=False)
    except StoreUnusable:  # is made, or told of when that fails
        return
    try:
        refuse_other(old, new)
    finally:
        new.close()


def refuse_other(old: LogReader, new: LogReader) -> None:
    """Make sure that a store is empty, or holds what was carried over from the other.

    Raises:
        BadRebase: It holds something else, or is the other.
    """
    source, wanted = source_of(new), described(old)
    if source is None and not new.revision:
        return
    if source is None:
        raise BadRebase(
            f"{new.location} holds edits already; give a store that is not there yet, or an empty "
            "one"
        )
    if any(source[name] != wanted[name] for name in ("created", "method", "made_with")):
        raise BadRebase(
            f"{new.location} holds what was carried over from {source['location']}, not from "
            f"{old.location}; give a store that is not there yet"
        )


def begin(old: LogReader, new: EditLog) -> None:
    """Note whose corrections are carried over."""
    with new.database.write() as connection:
        connection.execute(_stores.update(), {"source": json.dumps(described(old))})


def notes_of(log: LogReader) -> dict[str, Note]:
    """What was noted, by the name of the edit."""
    with log.database.read() as connection:
        if not sa.inspect(connection).has_table(_carried.name):
            return {}
        rows = connection.execute(sa.select(_carried)).all()
    return {row.edit: Note(edit=row.edit, outcome=row.outcome, note=row.note) for row in rows}


def write_notes(log: EditLog, notes: Sequence[Note], *, no_longer: Sequence[str] = ()) -> None:
    """Note what came of corrections, in place of what was noted of the same before.

    Args:
        log: Of the store that they were carried over to.
        notes: What became no edit.
        no_longer: Names of edits that were made after all.
    """
    now = datetime.now(UTC).isoformat()
    gone = [*(one.edit for one in notes), *no_longer]
    if not gone:
        return
    with log.database.write() as connection:
        connection.execute(_carried.delete().where(_carried.c.edit.in_(gone)))
        rows = [
            {"edit": one.edit, "outcome": one.outcome, "note": one.note, "created": now}
            for one in notes
        ]
        if rows:
            connection.execute(_carried.insert(), rows)
