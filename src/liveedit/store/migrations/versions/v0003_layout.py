"""The method that made the edits, and names and shapes of their tensors."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

from liveedit.store.legacy import METHOD, legacy_layout

revision, down_revision = "0003", "0002"


def upgrade() -> None:
    """Say in two columns what three numbers said of LiveEdit's edits."""
    for name in ("method", "layout"):
        op.add_column("stores", sa.Column(name, sa.Text, nullable=False, server_default=""))
    stores = sa.table(
        "stores",
        *(sa.column(name) for name in ("rank", "width", "features", "method", "layout")),
    )
    connection = op.get_bind()
    sizes = sa.select(stores.c.rank, stores.c.width, stores.c.features)
    for row in connection.execute(sizes).mappings().all():  # one, or none in a store without edits
        layout = json.dumps(legacy_layout(**row).as_json())
        connection.execute(stores.update(), {"method": METHOD, "layout": layout})
    for name in ("rank", "width", "features"):
        op.drop_column("stores", name)
