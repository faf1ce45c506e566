"""Tables of a store. Rows are added, never changed; each belongs to a revision."""

from __future__ import annotations

import sqlalchemy as sa

VERSION = "0006"  # the newest migration

_Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")

metadata = sa.MetaData()

# One row: what the edits were made with, and names and shapes of their tensors.
stores = sa.Table(
    "stores",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("fingerprint", sa.Text, nullable=False),  # JSON
    sa.Column("created", sa.Text, nullable=False),
    sa.Column("method", sa.Text, nullable=False),
    sa.Column("layout", sa.Text, nullable=False),  # JSON
    sa.Column("pictures", sa.Text, nullable=False),  # JSON: what is kept of them
    sa.Column("source", sa.Text, nullable=False),  # the store whose corrections were carried over
    sa.Column("settings", sa.Text, nullable=False),  # JSON: the method's, but for its defaults
)
revisions = sa.Table(
    "revisions",
    metadata,
    sa.Column("revision", _Number, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.Text, nullable=False),  # add, revoke, restore
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("created", sa.Text, nullable=False),
)
edits = sa.Table(
    "edits",
    metadata,
    sa.Column("number", _Number, primary_key=True, autoincrement=False),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("revision", _Number, nullable=False, index=True),
    sa.Column("namespace", sa.Text, nullable=False),
    sa.Column("image", sa.Text),
    sa.Column("prompt", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("created", sa.Text, nullable=False),
    sa.Column("supersedes", sa.Text, nullable=False),  # JSON
    sa.Column("rephrasings", sa.Text, nullable=False),  # JSON
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.Text, nullable=False),  # SHA-256 of the store's
    sa.Column("features_checksum", sa.Text, nullable=False),
    sa.Column("expert_checksum", sa.Text, nullable=False),
    sa.Column("checksum", sa.Text, nullable=False),
    sa.Column("features", sa.LargeBinary, nullable=False),  # keys as safetensors; last, it is long
    sa.Index("edits_by_digest", "digest"),
)
# Values, apart from the edits, so that following these does not read them.
experts = sa.Table(
    "experts",
    metadata,
    sa.Column("number", _Number, primary_key=True, autoincrement=False),
    sa.Column("tensors", sa.LargeBinary, nullable=False),  # safetensors
)
pictures = sa.Table(
    "pictures",
    metadata,
    sa.Column("image", sa.Text, primary_key=True),
    sa.Column("thumbnail", sa.LargeBinary, nullable=False),  # WEBP
    sa.Column("checksum", sa.Text, nullable=False),
)
# The pictures themselves, each once; unlike edits they may be dropped.
files = sa.Table(
    "files",
    metadata,
    sa.Column("picture", sa.Text, primary_key=True),  # its identity
    sa.Column("bytes", _Number, nullable=False),
    sa.Column("checksum", sa.Text, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.Index("files_by_bytes", "bytes"),  # adds up what they take without reading them
)
# Single pictures of edits that are about several.
parts = sa.Table(
    "parts",
    metadata,
    sa.Column("image", sa.Text, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("picture", sa.Text, nullable=False),
)
# Corrections of another store that need no edit here, or that none could be made of.
carried = sa.Table(
    "carried",
    metadata,
    sa.Column("edit", sa.Text, primary_key=True),  # its name there
    sa.Column("outcome", sa.Text, nullable=False),  # already right, not reached
    sa.Column("note", sa.Text, nullable=False),  # why
    sa.Column("created", sa.Text, nullable=False),
)
changes = sa.Table(
    "changes",
    metadata,
    sa.Column("revision", _Number, primary_key=True, autoincrement=False),
    sa.Column("edit", _Number, primary_key=True, autoincrement=False),
    sa.Index("changes_by_edit", "edit"),
)
