"""Experts with one slot for each token of their target, and the wordings that people gave."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

from liveedit.store.layout import Layout
from liveedit.store.legacy import any_rank

revision, down_revision = "0004", "0003"


def upgrade() -> None:
    """Let the number of slots differ, which no edit that is there has to be changed for."""
    op.add_column("edits", sa.Column("rephrasings", sa.Text, nullable=False, server_default="[]"))
    stores = sa.table("stores", sa.column("method"), sa.column("layout"))
    connection = op.get_bind()
    for method, layout in connection.execute(sa.select(stores.c.method, stores.c.layout)).all():
        widened = any_rank(method, Layout.from_json(json.loads(layout)))
        connection.execute(stores.update(), {"layout": json.dumps(widened.as_json())})
