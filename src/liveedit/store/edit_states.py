"""What had become of the edits at a revision."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from liveedit.store import schema
from liveedit.store.edit_rows import batches
from liveedit.store.in_force import InForce
from liveedit.store.records import State, StoredEdit

_edits, _revisions, _changes = schema.edits, schema.revisions, schema.changes


class EditStates:
    """The states of some edits at a revision, by their names.

    Args:
        connection: A snapshot.
        as_of: The revision.
        rows: The edits.
        made_with: Digest of what edits must have been made with.
    """

    def __init__(
        self, connection: sa.Connection, as_of: int, rows: Sequence[StoredEdit], *, made_with: str
    ) -> None:
        self._force: InForce[str] = InForce()
        self._damaged = {row.edit.id for row in rows if row.problem}
        names = {row.number: row.edit.id for row in rows}
        where = (_edits.c.revision <= as_of) & (_edits.c.supersedes != "[]")
        for batch in batches(connection, where, made_with=made_with, keys=False):
            for row in batch:
                names[row.number] = row.edit.id
                self._force.add(row.edit.id, row.edit.supersedes)
        events = connection.execute(
            sa.select(_revisions.c.kind, _changes.c.edit)
            .join(_changes, _changes.c.revision == _revisions.c.revision)
            .where(_changes.c.revision <= as_of)
            .order_by(_changes.c.revision)
        )
        for kind, number in events:
            if number in names:
                change = self._force.revoke if kind == "revoke" else self._force.restore
                change(names[number])

    def __getitem__(self, edit_id: str) -> State:
        if edit_id in self._damaged:
            return "damaged"
        if edit_id in self._force.revoked:
            return "revoked"
        return "superseded" if self._force.superseded(edit_id) else "in force"
