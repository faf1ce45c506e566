"""The method's settings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0006", "0005"


def upgrade() -> None:
    """Add a column; a store that is there has its method's defaults until it is told others."""
    op.add_column("stores", sa.Column("settings", sa.Text, nullable=False, server_default="{}"))
