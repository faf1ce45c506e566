"""Bring the tables of an earlier release up to this one's schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory


def known_versions() -> list[str]:
    """Schemas this release can read or migrate."""
    return [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()]


def upgrade(connection: sa.Connection, version: str = "head") -> None:
    """Run what is missing, within the connection's transaction.

    Args:
        connection: Of a writer.
        version: How far.
    """
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, version)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "liveedit.store:migrations")
    return config
