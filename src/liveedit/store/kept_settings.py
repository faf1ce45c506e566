"""The method's settings that a store keeps, so that they need not be given each time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from liveedit.errors import StoreError, StoreUnreachable
from liveedit.store import schema
from liveedit.store.database import Database
from liveedit.store.log import EditLog
from liveedit.store.opening import read_identity
from liveedit.store.records import Identity


def identity_at(location: str | Path) -> Identity | None:
    """What the edits of a store were made with, read before anything is opened for good.

    Args:
        location: Path of a SQLite file, or URL of a PostgreSQL database.

    Returns:
        None if there is no store, or one that this release will refuse.

    Raises:
        StoreUnreachable: The database does not answer.
    """
    try:
        with closing(Database(location)) as database:
            return read_identity(database)
    except StoreUnreachable:
        raise
    except StoreError:
        return None


def keep_settings(log: EditLog, settings: Mapping[str, object]) -> None:
    """Keep a method's settings from now on; edits stay as they were made.

    Args:
        log: Of the store.
        settings: Those that are not the method's defaults.
    """
    with log.database.write() as connection:
        connection.execute(schema.stores.update(), {"settings": json.dumps(dict(settings))})
