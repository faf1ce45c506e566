"""The first schema: edits without the digest by which a correction is found again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0001", None

_Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "stores",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("rank", sa.Integer, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("features", sa.Integer, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
    )
    op.create_table(
        "revisions",
        sa.Column("revision", _Number, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
    )
    op.create_table(
        "edits",
        sa.Column("number", _Number, primary_key=True, autoincrement=False),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("revision", _Number, nullable=False),
        sa.Column("namespace", sa.Text, nullable=False),
        sa.Column("image", sa.Text),
        sa.Column("prompt", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
        sa.Column("supersedes", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("features_checksum", sa.Text, nullable=False),
        sa.Column("expert_checksum", sa.Text, nullable=False),
        sa.Column("checksum", sa.Text, nullable=False),
        sa.Column("features", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_edits_revision", "edits", ["revision"])
    op.create_table(
        "experts",
        sa.Column("number", _Number, primary_key=True, autoincrement=False),
        sa.Column("tensors", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "pictures",
        sa.Column("image", sa.Text, primary_key=True),
        sa.Column("thumbnail", sa.LargeBinary, nullable=False),
        sa.Column("checksum", sa.Text, nullable=False),
    )
    op.create_table(
        "changes",
        sa.Column("revision", _Number, primary_key=True, autoincrement=False),
        sa.Column("edit", _Number, primary_key=True, autoincrement=False),
    )
    op.create_index("changes_by_edit", "changes", ["edit"])
