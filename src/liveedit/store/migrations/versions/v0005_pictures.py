"""The pictures themselves, and what was carried over from another store."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0005", "0004"

_Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Add tables; a store that is there goes on keeping thumbnails alone until it is told to."""
    op.add_column(
        "stores", sa.Column("pictures", sa.Text, nullable=False, server_default='{"keep": "off"}')
    )
    op.add_column("stores", sa.Column("source", sa.Text, nullable=False, server_default=""))
    op.create_table(
        "files",
        sa.Column("picture", sa.Text, primary_key=True),
        sa.Column("bytes", _Number, nullable=False),
        sa.Column("checksum", sa.Text, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_index("files_by_bytes", "files", ["bytes"])
    op.create_table(
        "parts",
        sa.Column("image", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("picture", sa.Text, nullable=False),
    )
    op.create_table(
        "carried",
        sa.Column("edit", sa.Text, primary_key=True),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
    )
