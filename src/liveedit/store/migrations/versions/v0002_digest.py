"""A digest for each edit, by which an import finds what it has written before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from liveedit.store.edit import correction_digest

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    """Add the column, fill it, and index it."""
    op.add_column("edits", sa.Column("digest", sa.Text, nullable=False, server_default=""))
    connection = op.get_bind()
    edits = sa.table(
        "edits", *(sa.column(name) for name in ("number", "image", "prompt", "target", "digest"))
    )
    rows = connection.execute(
        sa.select(edits.c.number, edits.c.image, edits.c.prompt, edits.c.target)
    ).all()
    for number, image, prompt, target in rows:
        connection.execute(
            edits.update().where(edits.c.number == number),
            {"digest": correction_digest(image, prompt, target)},
        )
    op.create_index("edits_by_digest", "edits", ["digest"])
