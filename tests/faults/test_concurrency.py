"""Writers and readers in processes and threads on one store."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.store.samples import add, in_force, sql_store

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "concurrency.py"


@pytest.fixture(params=["sqlite", "postgresql"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "edits.db")
    return request.getfixturevalue("postgresql")


def test_four_processes_write_and_four_read(location: str) -> None:
    command = [sys.executable, str(SCRIPT), "--seconds", "5", "--store", location, "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout)
    assert figures["lost"] == figures["not_revoked"] == 0
    assert figures["wrong"] == figures["check"] == []
    assert figures["pairs_written"] >= 8
    assert figures["looks"] >= 8
    assert max(figures["newest_seen"]) > 4


def test_threads_share_a_store(location: str) -> None:
    store, failures = sql_store(location), []

    def write(writer: int) -> None:
        try:
            for number in range(writer * 100, writer * 100 + 5):
                (edit,) = add(store, number)
                assert edit.id in store.pool().ids
                assert edit.id in in_force(store), "a writer sees its own edit"
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(in_force(store)) == store.revision == 20
    assert sorted(in_force(store)) == sorted(in_force(sql_store(location)))
