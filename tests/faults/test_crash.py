"""A writer is killed; whatever it was told is done must be there, and nothing half."""

import os
import random
import select
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
import torch

from liveedit.store import crash_points
from liveedit.store.check import check_store
from liveedit.store.sql import SqlStore
from tests.store.samples import add, edit_of, equal, sql_store, tensors_of

POINTS = {
    "create": ["empty", "tables", "identity"],
    "add": ["begun", "revision", "edits", "experts", "pictures", "committed"],
    "change": ["begun", "revision", "changes", "committed"],
}


def work(store: SqlStore) -> Iterator[Callable[[], object]]:
    """Changes, one after the other: add, supersede, revoke, restore, compact, import."""
    for first in range(0, 2000, 20):
        yield from round_of(store, first)


def round_of(store: SqlStore, first: int) -> list[Callable[[], object]]:
    newer = f"edit-{first + 2}"
    return [
        lambda: add(store, first, first + 1),
        lambda: add(store, first + 2, supersedes=(f"edit-{first}",)),
        lambda: store.revoke(newer),
        lambda: store.restore(newer),
        lambda: store.log.database.compact(),
        lambda: add(store, *range(first + 3, first + 19), namespace="imported"),
    ]


def expected(done: int) -> list[str]:
    """What is in force after so many of them."""
    force: list[int] = []
    for step in range(done):
        first = step // 6 * 20
        if step % 6 == 0:
            force += [first, first + 1]
        elif step % 6 in (1, 3):
            force = [one for one in force if one != first] + [first + 2]
        elif step % 6 == 2:
            force = [one for one in force if one != first + 2] + [first]
        elif step % 6 == 5:
            force += range(first + 3, first + 19)
    return [f"edit-{number}" for number in sorted(force)]


def revisions(done: int) -> int:
    return done - (done + 1) // 6  # compacting is none


def child(location: str, report: int, point: str | None, after: int) -> None:
    """Work, and tell of each change that has returned; dies at the point if there is one."""
    store = sql_store(location)
    passed = 0

    def reached(name: str) -> None:
        nonlocal passed
        if name == point:
            passed += 1
            if passed > after:
                os.kill(os.getpid(), signal.SIGKILL)

    crash_points.reached = reached
    if point in POINTS["create"]:
        Path(location).unlink(missing_ok=True)
        sql_store(location)
    for change in work(store):
        change()
        os.write(report, b".")


def killed(location: str, *, point: str | None = None, after: int = 0, moment: float = 0.0) -> int:
    """How many changes a writer reported before it was killed."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            os.close(reading)
            child(location, writing, point, after)
        finally:
            os._exit(1)
    os.close(writing)
    if point is None:
        select.select([reading], [], [], 60)
        time.sleep(moment)
        os.kill(process, signal.SIGKILL)
    status = os.waitpid(process, 0)[1]
    with os.fdopen(reading, "rb") as pipe:
        done = len(pipe.read())
    assert os.WTERMSIG(status) == signal.SIGKILL, "the point was never reached"
    return done


def wait_for_the_server(location: str) -> None:
    """PostgreSQL may still be at work on what it was told last before the writer was killed."""
    if not location.startswith("postgresql"):
        return
    engine = sa.create_engine(location, poolclass=sa.NullPool)
    busy = sa.text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"
    )
    with engine.connect() as connection:
        for _ in range(600):
            if not connection.scalar(busy):
                return
            connection.rollback()
            time.sleep(0.05)
    raise AssertionError("the killed writer's transaction does not end")


def examine(location: str, done: int) -> None:
    """All that was reported is there and as it was; at most one change more, and whole."""
    wait_for_the_server(location)
    store = sql_store(location)
    found = [edit.id for edit in store.edits]
    there = store.revision - revisions(done)
    assert there in (0, 1)
    assert found in [expected(done), expected(done + 1)]
    assert check_store(store.log).problems == []
    assert store.damaged == {}
    pool = store.pool(namespaces=["", "imported"])
    numbers = [int(edit_id.removeprefix("edit-")) for edit_id in pool.ids]
    if numbers:
        keys, values = tensors_of(numbers)
        assert equal(pool.take(None)["u"], values["u"])
        assert equal(pool.take(None)["v"], values["v"])
        assert torch.equal(pool.keys.whole.vectors["vision"], keys.vectors["vision"])
        assert torch.equal(pool.keys.whole.vectors["prompt"], keys.vectors["prompt"])
    for entry in store.log.entries():
        number = int(entry.edit.id.removeprefix("edit-"))
        assert entry.edit.prompt == edit_of(number).prompt
        assert entry.edit.image == edit_of(number).image
    before = store.revision
    add(store, 5000)
    assert store.revision == before + 1
    store.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "edits.db")
    return request.getfixturevalue("postgresql")


@pytest.mark.parametrize("point", POINTS["add"])
@pytest.mark.parametrize("after", [0, 4])
def test_killed_while_adding(location: str, point: str, after: int) -> None:
    examine(location, killed(location, point=point, after=after))


@pytest.mark.parametrize("after", [0, 1])
def test_killed_while_revoking_or_restoring(location: str, after: int) -> None:
    examine(location, killed(location, point="changes", after=after))


@pytest.mark.parametrize("point", POINTS["create"])
def test_killed_while_making_the_store(tmp_path: Path, point: str) -> None:
    location = str(tmp_path / "edits.db")
    assert killed(location, point=point) == 0
    examine(location, 0)


def moments(count: int) -> list[float]:
    drawn = random.Random(count)
    return [drawn.uniform(0.0, 0.4) for _ in range(count)]


@pytest.mark.parametrize(
    "count", [10, pytest.param(200, marks=pytest.mark.thorough)], ids=["few", "many"]
)
def test_killed_at_random_moments(location: str, count: int) -> None:
    """Each time the store is a new one, or in PostgreSQL a new schema of the same database."""
    for number, moment in enumerate(moments(count)):
        where = location_of(location, number)
        examine(where, killed(where, moment=moment))


def location_of(location: str, number: int) -> str:
    if not location.startswith("postgresql"):
        return f"{location}.{number}"
    import sqlalchemy as sa

    name = f"s{number}"
    engine = sa.create_engine(location, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
    url = sa.make_url(location).update_query_dict({"options": f"-csearch_path={name}"})
    return url.render_as_string(hide_password=False)
