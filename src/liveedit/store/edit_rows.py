"""Edits as they are read from their table, so many at a time, each compared with its checksums."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from liveedit.store import schema
from liveedit.store.checksums import checksum, edit_checksum
from liveedit.store.edit import Edit
from liveedit.store.records import StoredEdit

BATCH = 1024  # rows that are read together
_edits = schema.edits


def batches(
    connection: sa.Connection,
    where: sa.ColumnElement[bool],
    *,
    made_with: str,
    keys: bool = True,
) -> Iterator[list[StoredEdit]]:
    """Edits in the order of the log, so many at a time.

    Args:
        connection: A snapshot; stays open until the edits are used up.
        where: Which edits.
        made_with: Digest of what they must have been made with.
        keys: Whether their keys are wanted.
    """
    first, last = connection.execute(
        sa.select(sa.func.min(_edits.c.number), sa.func.max(_edits.c.number)).where(where)
    ).one()
    if first is None:
        return
    query = _select(connection, keys).where(where).order_by(_edits.c.number)

    def some(low: int, high: int) -> list[StoredEdit]:
        rows = connection.execute(query.where(_edits.c.number.between(low, high)))
        return [_read(row, made_with=made_with, keys=keys) for row in rows]

    for start in range(first, last + 1, BATCH):
        try:
            yield some(start, start + BATCH - 1)
        except DBAPIError:
            if connection.dialect.name != "sqlite":
                raise
            yield _one_by_one(start, min(start + BATCH, last + 1), some)


def named(
    connection: sa.Connection,
    where: sa.ColumnElement[bool],
    ids: Sequence[str],
    *,
    made_with: str,
    keys: bool = True,
) -> Iterator[list[StoredEdit]]:
    """Edits by their names, so many at a time, wherever in the log they are."""
    for start in range(0, len(ids), BATCH):
        some = where & _edits.c.id.in_(ids[start : start + BATCH])
        try:
            rows = connection.execute(_select(connection, keys).where(some)).all()
        except DBAPIError:
            if connection.dialect.name != "sqlite":
                raise
            yield from batches(connection, some, made_with=made_with, keys=keys)
        else:
            yield [_read(row, made_with=made_with, keys=keys) for row in rows]


def _select(connection: sa.Connection, keys: bool) -> sa.Select[Any]:
    version = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    missing = {"rephrasings": sa.literal("[]")} if version in ("0002", "0003") else {}
    return sa.select(
        *(
            missing[c.name].label(c.name) if c.name in missing else c
            for c in _edits.c
            if keys or c.name != "features"
        )
    )


def _one_by_one(
    start: int, end: int, some: Callable[[int, int], list[StoredEdit]]
) -> list[StoredEdit]:
    """What can still be read where a page of the file is damaged."""
    found = []
    for number in range(start, end):
        try:
            found += some(number, number)
        except DBAPIError as error:
            edit = Edit(id=f"number {number}", prompt="", target="", image=None)
            found.append(
                StoredEdit(number=number, revision=0, edit=edit, keys=b"", problem=str(error.orig))
            )
    return found


def _read(row: Any, *, made_with: str, keys: bool) -> StoredEdit:
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
            rephrasings=tuple(json.loads(row.rephrasings)),
        )
    except (ValueError, TypeError) as error:
        gone = tuple(re.findall(r'"([^"]*)"', str(row.supersedes)))
        edit = Edit(id=str(row.id), prompt="", target="", image=None, supersedes=gone)
        problem = f"cannot be read: {error}"
    if problem is None:
        sums = row.features_checksum, row.expert_checksum
        if row.fingerprint != made_with:
            problem = "was made with another backbone or editor"
        elif edit_checksum(edit, *sums) != row.checksum:
            problem = "differs from what was written"
        elif keys and checksum(row.features) != row.features_checksum:
            problem = "its features differ from what was written"
        elif edit.digest != row.digest:
            problem = "is not found by its content"
    return StoredEdit(
        number=row.number,
        revision=row.revision,
        edit=edit,
        keys=row.features if keys else b"",
        problem=problem,
    )
