"""Stores of earlier and later releases."""

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from liveedit.errors import StoreTooNew, StoreTooOld, StoreUnusable
from liveedit.store import crash_points, migrate, schema
from liveedit.store.check import check_store
from liveedit.store.database import Database
from liveedit.store.kept_settings import identity_at
from liveedit.store.log import EditLog

from .samples import FEATURES, LAYOUT, RANK, WIDTH, add, content, edit_of, in_force, sql_store
from .test_sql import location

__all__ = ["location"]


def made_at(location: str, version: str) -> None:
    """A store with two edits as an earlier release wrote it: made by its migrations."""
    store = sql_store(location)
    add(store, 0, 2)
    store.close()
    rows = {}
    with Database(location).write() as connection:
        for table in schema.metadata.sorted_tables:
            rows[table.name] = connection.execute(sa.select(table)).mappings().all()
        schema.metadata.drop_all(connection)
        connection.exec_driver_sql("DROP TABLE alembic_version")
        migrate.upgrade(connection, version)
        old = sa.MetaData()
        old.reflect(connection)
        fixed = json.dumps({**LAYOUT.as_json(), "values": {"u": [RANK, WIDTH], "v": [RANK, WIDTH]}})
        sizes = {"rank": RANK, "width": WIDTH, "features": FEATURES}
        if version < "0004":
            sizes["layout"] = fixed
        rows["stores"] = [{**row, **sizes} for row in rows["stores"]]
        for name, found in rows.items():
            if name not in old.tables:
                continue
            table = old.tables[name]
            columns = set(table.columns.keys())
            for row in found:
                connection.execute(
                    table.insert(), {key: value for key, value in row.items() if key in columns}
                )


@pytest.mark.parametrize("version", ["0001", "0002", "0003", "0004", "0005"])
def test_an_older_store_is_migrated_when_it_is_opened(location: str, version: str) -> None:
    made_at(location, version)
    with pytest.raises(StoreTooOld, match="liveedit store migrate"):
        EditLog(location, migrate=False)
    known = identity_at(location)
    assert known is not None
    assert (known.method, known.settings) == ("liveedit", {})
    with pytest.raises(StoreTooOld):  # that was but looked at
        EditLog(location, migrate=False)
    store = sql_store(location)
    assert in_force(store) == ["edit-0", "edit-2"]
    assert store.log.known([edit_of(0).digest], "") == {edit_of(0).digest: "edit-0"}
    assert check_store(store.log).clean
    add(store, 3)
    assert in_force(sql_store(location)) == ["edit-0", "edit-2", "edit-3"]


def test_a_migration_that_breaks_off_leaves_the_store_as_it_was(location, monkeypatch) -> None:
    made_at(location, "0001")

    def stop(point: str) -> None:
        if point == "migrated":
            raise RuntimeError("on purpose")

    monkeypatch.setattr(crash_points, "reached", stop)
    with pytest.raises(RuntimeError, match="on purpose"):
        EditLog(location)
    monkeypatch.undo()
    with pytest.raises(StoreTooOld):
        EditLog(location, migrate=False)
    assert check_store(sql_store(location).log).clean


def test_a_newer_store_is_refused_and_not_touched(tmp_path: Path) -> None:
    location = tmp_path / "edits.db"
    add(sql_store(location), 0)
    with Database(location).write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    before = content(location)
    with pytest.raises(StoreTooNew, match="'9999'"):
        EditLog(location)
    assert identity_at(location) is None
    assert content(location) == before


def test_migrations_end_in_the_schema_that_new_stores_have(tmp_path: Path) -> None:
    def described(location: Path) -> dict[str, object]:
        with Database(location).read() as connection:
            look = sa.inspect(connection)
            return {
                table: (
                    {(c["name"], str(c["type"]), c["nullable"]) for c in look.get_columns(table)},
                    look.get_pk_constraint(table)["constrained_columns"],
                    {(i["name"], tuple(i["column_names"])) for i in look.get_indexes(table)},
                    [u["column_names"] for u in look.get_unique_constraints(table)],
                )
                for table in look.get_table_names()
            }

    fresh, migrated = tmp_path / "fresh.db", tmp_path / "migrated.db"
    sql_store(fresh).close()
    with Database(migrated, create=True).write() as connection:
        migrate.upgrade(connection)
    assert described(fresh) == described(migrated)
    assert migrate.known_versions()[0] == schema.VERSION


def test_a_half_made_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "edits.db").touch()
    with pytest.raises(StoreUnusable, match="holds no store"):
        EditLog(tmp_path / "edits.db")
    assert identity_at(tmp_path / "edits.db") is None
    assert identity_at(tmp_path / "none.db") is None
    add(sql_store(tmp_path / "edits.db"), 0)
