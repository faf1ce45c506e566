"""The database below a store: one SQLite file, or PostgreSQL by its URL.

Readers see one snapshot from their first statement on. Writers exclude each other, so that
revisions are numbered without gaps and appear in their order.
"""

from __future__ import annotations

import hashlib
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from sqlite3 import OperationalError
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError

from liveedit.errors import (
    LiveEditError,
    MissingExtra,
    StoreBusy,
    StoreFull,
    StoreReadOnly,
    StoreUnreachable,
    StoreUnusable,
)
from liveedit.saving.cache_folder import cache_folder

_PATIENCE = 60  # seconds that a writer waits for others
_PAGE = 16384  # bytes; an expert takes several pages of the usual 4096


class Database:
    """Connections to a store's tables.

    Args:
        location: Path of a SQLite file, or a URL as SQLAlchemy takes them.
        create: Whether the file may be made.

    Raises:
        StoreUnusable: There is no such file, or nothing of the kind.
        MissingExtra: The URL is PostgreSQL's, and its driver is not installed.
    """

    def __init__(self, location: str | Path, *, create: bool = False) -> None:
        url = _url(str(location))
        self.location = url.render_as_string(hide_password=True)
        self.file: Path | None = None
        if url.get_backend_name() == "sqlite":
            self.file = Path(url.database or "")
            self.location = str(self.file)
            if not create and not self.file.is_file():
                raise StoreUnusable(
                    f"{self.location} does not exist; give the file or URL of a store, or make one "
                    "with: liveedit edit add"
                )
            if create:
                _make_folder(self.file.absolute().parent)
            self._engine = _sqlite(self.file)
        else:
            try:
                self._engine = sa.create_engine(url, pool_pre_ping=True)
            except ImportError as error:
                raise MissingExtra("psycopg", extra="postgresql") from error
        _forget_after_fork(self._engine)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A snapshot: what others commit meanwhile is not seen.

        Raises:
            StoreError: See :func:`typed`.
        """
        with typed(self.location):
            engine = self._engine
            if self.file is None:
                engine = engine.execution_options(isolation_level="REPEATABLE READ")
            with engine.connect() as connection:  # rolled back in the end: nothing was written
                yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction beside which no other writes; after an exception nothing was written.

        Raises:
            StoreError: See :func:`typed`.
        """
        with typed(self.location):
            engine = self._engine.execution_options(writes=True)
            with engine.begin() as connection:
                if self.file is None:
                    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_PATIENCE}s'")
                    # any number will do, as long as all writers take the same
                    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7231104)")
                yield connection

    def compact(self) -> None:
        """Give free pages back; readers and writers may be at work meanwhile.

        Raises:
            StoreError: See :func:`typed`.
        """
        with typed(self.location):
            engine = self._engine.execution_options(isolation_level="AUTOCOMMIT")
            with engine.connect() as connection:
                if self.file is None:
                    connection.exec_driver_sql("VACUUM (ANALYZE)")
                else:
                    connection.exec_driver_sql("VACUUM")
                    connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def size(self) -> int:
        """Bytes that the store takes."""
        if self.file is not None:
            parts = (self.file, Path(f"{self.file}-wal"))
            return sum(part.stat().st_size for part in parts if part.exists())
        with self.read() as connection:
            return connection.scalar(sa.text("SELECT pg_database_size(current_database())")) or 0

    def companion(self, name: str, store: str) -> Path:
        """Folder for what can be made again from the store, whether or not there is one.

        It is beside the file of SQLite, and in the user's cache folder for a server.

        Args:
            name: What the folder is for.
            store: What else the store is known by; digits and letters.
        """
        if self.file is not None:
            return Path(f"{self.file}-{name}")
        place = hashlib.sha256(self.location.encode()).hexdigest()[:16]
        return cache_folder() / name / f"{place}-{store[:16]}"

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


@contextmanager
def typed(location: str) -> Iterator[None]:
    """Errors of the database as ours.

    Raises:
        StoreFull: There is no room.
        StoreReadOnly: Writing is not allowed.
        StoreBusy: Another process has been writing for too long.
        StoreUnreachable: The server is not there, or went away.
        StoreUnusable: Anything else.
    """
    try:
        yield
    except DBAPIError as error:
        raise _our_error(location, error) from error


def _our_error(location: str, error: DBAPIError) -> LiveEditError:
    name = getattr(error.orig, "sqlite_errorname", "")
    state = getattr(error.orig, "sqlstate", "") or ""
    if name in ("SQLITE_FULL", "SQLITE_IOERR_WRITE") or state == "53100":
        return StoreFull(location)
    if name.startswith(("SQLITE_READONLY", "SQLITE_PERM")) or state in ("25006", "42501"):
        return StoreReadOnly(location)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or state == "55P03":
        return StoreBusy(location)
    problem = str(error.orig).splitlines()[0] if str(error.orig) else name
    if not name and (not state or state.startswith(("08", "57P"))):  # PostgreSQL's connections
        return StoreUnreachable(location, problem)
    return StoreUnusable(
        f"{location} cannot be used as a store ({problem}); check it with: liveedit store check"
    )


def _url(location: str) -> sa.URL:
    if "://" not in location:
        return sa.URL.create("sqlite", database=location)
    try:
        url = sa.make_url(location)
    except ArgumentError as error:
        raise StoreUnusable(
            f"{location} is no URL of a database; give a file, or postgresql://user@host/name"
        ) from error
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise StoreUnusable(
            f"stores are kept in SQLite or PostgreSQL, not {url.get_backend_name()}; give a file, "
            "or postgresql://user@host/name"
        )
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def _make_folder(folder: Path) -> None:
    """The folder of a store that may be made.

    Raises:
        StoreUnusable: It is not there and cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnusable(
            f"there is no folder {folder}, and it cannot be made ({error.strerror}); give another"
        ) from error


def _sqlite(file: Path) -> sa.Engine:
    fresh = not file.exists() or not file.stat().st_size
    query = {"uri": "true"}
    if not fresh and not os.access(file.absolute().parent, os.W_OK):
        # without a folder for its companions, only a file that nobody writes can be read
        query |= {"mode": "ro"} if Path(f"{file}-wal").exists() else {"immutable": "1"}
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=f"file:{quote(str(file.absolute()))}", query=query),
        connect_args={"timeout": _PATIENCE},
        poolclass=sa.QueuePool,
    )

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions begin where we say so
        if fresh:
            connection.execute(f"PRAGMA page_size = {_PAGE}")
            with suppress(OperationalError):  # another process is making it at the same time
                connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        options = connection.get_execution_options()
        if options.get("isolation_level") != "AUTOCOMMIT":
            connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writes") else "BEGIN")

    return engine


def _forget_after_fork(engine: sa.Engine) -> None:
    """A child process must not use its parent's connections."""
    known = weakref.ref(engine)

    def forget() -> None:
        engine = known()
        if engine is not None:
            engine.dispose(close=False)

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forget)
