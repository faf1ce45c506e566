"""Two servers in processes of their own on one store; one is killed, and started again.

pytest -m thorough tests/serve/test_replicas.py
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from liveedit.errors import RequestRefused
from liveedit.store.check import check_store
from liveedit.store.log import EditLog
from tests.serve.replica import Replica, running
from tests.store.conftest import postgresql, postgresql_server

__all__ = ["postgresql", "postgresql_server"]  # fixtures
pytestmark = pytest.mark.thorough
ASKED = "What is this?"


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path) -> str:
    """Where both keep their edits."""
    if request.param == "sqlite":
        return str(tmp_path / "edits.db")
    return request.getfixturevalue("postgresql")


@pytest.fixture
def replicas(tiny_folder, editor, store) -> Iterator[tuple[Replica, Replica]]:
    found = Replica(tiny_folder, editor, store), Replica(tiny_folder, editor, store)
    with running(*found):
        yield found


def test_both_answer_alike_and_one_goes_on_alone(replicas, pictures) -> None:
    one, other = replicas
    for target, made_by, asked_of in (("a violet", one, other), ("a rose", other, one)):
        made = made_by.client.edit(pictures[0], ASKED, target)
        began = time.monotonic()
        while asked_of.client.ask(pictures[0], ASKED).text != target:
            assert time.monotonic() - began < 1
        assert list(asked_of.client.ask(pictures[0], ASKED).fired) == [made.id]
    other.client.revoke(made.id)
    assert one.client.ask(pictures[0], ASKED).text == "a violet"
    one.end(signal.SIGKILL)
    with pytest.raises(RequestRefused):
        one.client.ask(pictures[0], ASKED)
    other.client.edit(pictures[1], ASKED, "a tulip")
    one.start()  # as a rolling restart does, while the other answers
    assert other.client.ask(pictures[1], ASKED).text == "a tulip"
    one.wait()
    assert one.client.ask(pictures[1], ASKED).text == "a tulip"
    assert one.client.ask(pictures[0], ASKED).text == "a violet"


def test_what_was_acknowledged_outlives_a_kill(replicas, pictures, store) -> None:
    one, other = replicas
    told: list[str] = []

    def correct() -> None:
        with contextlib.suppress(RequestRefused):
            while True:
                question = f"Who is number {len(told)}?"
                told.append(one.client.edit(None, question, "nobody", keep=True).id)

    def stream() -> None:
        body = {"messages": [{"role": "user", "content": ASKED}], "stream": True}
        with contextlib.suppress(httpx.TransportError):
            while True:
                httpx.post(f"{one.url}/v1/chat/completions", json=body, timeout=60)

    threads = [threading.Thread(target=work) for work in (correct, stream)]
    for thread in threads:
        thread.start()
    while len(told) < 5:
        time.sleep(0.01)
    one.end(signal.SIGKILL)
    for thread in threads:
        thread.join(60)
    log = EditLog(store)
    assert set(told) <= {entry.edit.id for entry in log.entries()}
    assert check_store(log).clean
    log.close()
    assert {row.id for row in other.client.edits()} >= set(told)


def test_a_server_that_is_told_to_stop_finishes_what_it_answers(replicas) -> None:
    one, _ = replicas
    said: list[int] = []

    def ask() -> None:
        body = {"messages": [{"role": "user", "content": ASKED}], "max_tokens": 200}
        said.append(httpx.post(f"{one.url}/v1/chat/completions", json=body, timeout=60).status_code)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    while not httpx.get(f"{one.url}/health").json()["waiting"] and len(said) < 6:
        time.sleep(0.005)
    one.end()
    for thread in threads:
        thread.join(60)
    assert said == [200] * 6
