"""Opening a store: its tables are made if they are missing, and migrated if they are old."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

import sqlalchemy as sa

from liveedit.errors import OtherMethod, StoreReadOnly, StoreTooNew, StoreTooOld, StoreUnusable
from liveedit.store import crash_points, schema
from liveedit.store.database import Database
from liveedit.store.layout import Layout
from liveedit.store.legacy import METHOD, any_rank, legacy_layout
from liveedit.store.picture_rules import PictureRules
from liveedit.store.records import Identity

_log = logging.getLogger(__name__)
_LEGACY = ("0001", "0002")  # schemas that do not name the method
_READABLE = ("0002", "0003", "0004", "0005")  # old ones, read where they cannot be changed


def open_store(
    database: Database,
    identity: Identity | None,
    *,
    migrate: bool,
    pictures: PictureRules | None = None,
) -> Identity:
    """Make sure that the tables are there, as this release has them.

    Args:
        database: Where they are.
        identity: What edits will be made with, if the store may be made.
        migrate: Whether a store of an earlier release is brought to this one's schema.
        pictures: What a store that is made keeps of pictures; by default their files.

    Returns:
        What the edits in it were made with.

    Raises:
        StoreTooNew, StoreTooOld: See there.
        StoreUnusable: There is no store, and none may be made.
        OtherMethod: Its edits were made by another method; it is not touched.
    """
    with database.read() as connection:
        found = _schema_of(connection)
    if found in _LEGACY and identity is not None and identity.method != METHOD:
        raise OtherMethod(database.location, expected=METHOD, found=identity.method)
    if found is None:
        if identity is None:
            raise StoreUnusable(
                f"{database.location} holds no store; give another, or make one with: "
                "liveedit edit add"
            )
        _create(database, identity, pictures or PictureRules())
    elif found != schema.VERSION:
        _migrate(database, found, allowed=migrate)
    return _identity(database)


def read_identity(database: Database) -> Identity | None:
    """What the edits in it were made with, whatever release wrote it; nothing is migrated.

    Args:
        database: Where a store may be.

    Returns:
        None if there is no store, or one of a later release.
    """
    with database.read() as connection:
        found = _schema_of(connection)
    return None if found is None or found > schema.VERSION else _identity(database)


def _create(database: Database, identity: Identity, pictures: PictureRules) -> None:
    with database.write() as connection:
        if _schema_of(connection) is not None:  # another process was faster
            return
        crash_points.reached("empty")
        schema.metadata.create_all(connection)
        crash_points.reached("tables")
        connection.exec_driver_sql(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"
        )
        connection.execute(
            sa.text("INSERT INTO alembic_version VALUES (:version)"),
            {"version": schema.VERSION},
        )
        connection.execute(
            schema.stores.insert(),
            {
                "id": 1,
                "fingerprint": json.dumps(identity.fingerprint, sort_keys=True),
                "created": datetime.now(UTC).isoformat(),
                "method": identity.method,
                "layout": json.dumps(identity.layout.as_json()),
                "pictures": json.dumps(pictures.as_json()),
                "source": "",
                "settings": json.dumps(dict(identity.settings)),
            },
        )
        crash_points.reached("identity")


def _migrate(database: Database, found: str, *, allowed: bool) -> None:
    from liveedit.store.migrate import known_versions, upgrade

    if found not in known_versions():
        raise StoreTooNew(database.location, schema=found)
    if not allowed:
        raise StoreTooOld(database.location)
    _log.info("migrating %s from schema %s to %s", database.location, found, schema.VERSION)
    try:
        with database.write() as connection:
            upgrade(connection)
            crash_points.reached("migrated")
    except StoreReadOnly as error:
        if found not in _READABLE:
            raise StoreTooOld(database.location) from error


def _identity(database: Database) -> Identity:
    with database.read() as connection:
        row = connection.execute(sa.text("SELECT * FROM stores")).mappings().one()
        version = _schema_of(connection)
    if "layout" in row:
        layout, method = Layout.from_json(json.loads(row["layout"])), row["method"]
    else:
        sizes = {name: row[name] for name in ("rank", "width", "features")}
        layout, method = legacy_layout(**sizes), METHOD
    if version in (*_LEGACY, "0003"):
        layout = any_rank(method, layout)
    return Identity(
        fingerprint=json.loads(row["fingerprint"]),
        method=method,
        layout=layout,
        settings=json.loads(row.get("settings", "{}")),
    )


def _schema_of(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
