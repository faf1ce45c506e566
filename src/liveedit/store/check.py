"""Whether everything in a store is as it was written."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from liveedit.errors import DamagedEdit, StoreUnusable
from liveedit.store import schema
from liveedit.store.checksums import checksum
from liveedit.store.edit_rows import batches
from liveedit.store.layout import Shapes
from liveedit.store.log_reader import LogReader, newest_revision
from liveedit.store.picture_tables import damaged_files
from liveedit.store.records import CheckReport, StoredEdit
from liveedit.store.serialization import BadBytes, unpack

_edits, _revisions = schema.edits, schema.revisions
_pictures, _files, _parts = schema.pictures, schema.files, schema.parts
_Progress: TypeAlias = Callable[[int], object]


def check_store(log: LogReader, progress: _Progress = lambda rows: None) -> CheckReport:
    """Read everything again and compare it with its checksums.

    Args:
        log: Of the store.
        progress: Told of the rows that were read.
    """
    report = CheckReport()
    with log.database.read() as connection:
        for look in (_check_file, _check_edits, _check_pictures):
            try:
                look(log, connection, report, progress)
            except DBAPIError as error:
                report.problems.append(f"the database: {error.orig}")
    return report


def _check_file(
    log: LogReader, connection: sa.Connection, report: CheckReport, _: _Progress
) -> None:
    if log.database.file is not None:
        found = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
        report.problems += [f"the database: {line}" for line in found if line != "ok"]
    newest = newest_revision(connection)
    report.revisions = connection.scalar(sa.select(sa.func.count(_revisions.c.revision))) or 0
    if report.revisions != newest:
        report.problems.append(f"{report.revisions} revisions, of which the last is {newest}")


def _check_edits(
    log: LogReader, connection: sa.Connection, report: CheckReport, progress: _Progress
) -> None:
    layout = log.identity.layout
    known = set(connection.scalars(sa.select(_pictures.c.image)))
    last = connection.scalar(sa.select(sa.func.max(_edits.c.number))) or 0
    for batch in batches(connection, sa.true(), made_with=log.identity.digest):
        for row in batch:
            report.edits += 1
            problem = row.problem
            try:
                if problem is None:
                    unpack(row.keys, layout.key_shapes)
            except BadBytes as error:
                problem = f"keys: {error}"
            if problem is None:
                problem = _values_problem(log, row, layout.values)
            if problem is None and row.edit.image and row.edit.image not in known:
                problem = "its picture is missing"
            if problem:
                report.problems.append(f"edit {row.edit.id}: {problem}")
        progress(len(batch))
    if report.edits != last:
        report.problems.append(f"{report.edits} edits, of which the last is number {last}")


def _values_problem(log: LogReader, row: StoredEdit, shapes: Shapes) -> str | None:
    try:
        found = log.values([row.number])
        unpack(found[row.number], shapes)
    except DamagedEdit as error:
        return error.problem
    except (BadBytes, KeyError, StoreUnusable) as error:
        return f"values: {error}"
    return None


def _check_pictures(
    log: LogReader, connection: sa.Connection, report: CheckReport, _: _Progress
) -> None:
    for image, data, wanted in connection.execute(sa.select(_pictures)):
        if checksum(data) != wanted:
            report.problems.append(f"picture {image}: differs from what was written")
    if not sa.inspect(connection).has_table(_files.name):
        return
    report.pictures = connection.scalar(sa.select(sa.func.count(_files.c.picture))) or 0
    for name in damaged_files(connection):
        report.problems.append(
            f"picture {name}: its file differs from what was written; drop it with: liveedit store "
            "pictures --drop damaged"
        )
    per_image = sa.select(_parts.c.image, sa.func.count(), sa.func.max(_parts.c.position))
    for image, count, last in connection.execute(per_image.group_by(_parts.c.image)):
        if last + 1 != count or count < 2:
            report.problems.append(f"picture {image}: some of its parts are missing")
