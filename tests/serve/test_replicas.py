"""Two servers in processes of their own on one store; one is killed, and started again.

pytest -m thorough tests/serve/test_replicas.py
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from liveedit.client import Client
from liveedit.errors import RequestRefused
from liveedit.store.check import check_store
from liveedit.store.log import EditLog
from tests.editor.models import felt_model

pytestmark = pytest.mark.thorough
ASKED = "What is this?"


class Replica:
    """A server of the tiny model."""

    def __init__(self, model: Path, editor: Path, store: Path) -> None:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = found.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._words = [
            sys.executable, "-m", "liveedit", "serve", "--model", str(model), "--editor",
            str(editor), "--store", str(store), "--port", str(self.port), "--dtype", "float32",
        ]  # fmt: skip
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._words, stderr=subprocess.DEVNULL)
        self.client = Client(self.url, retries=0)

    def wait(self) -> None:
        while True:
            assert self.process.poll() is None
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/ready").is_success:
                    return
            time.sleep(0.1)

    def end(self, sign: signal.Signals = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            os.kill(self.process.pid, sign)
        self.process.wait(60)


@pytest.fixture
def replicas(backbone, tiny_folder, pictures, tmp_path) -> Iterator[tuple[Replica, Replica]]:
    from liveedit.backbones.registry import load_backbone

    loaded = load_backbone(tiny_folder, dtype=backbone.dtype)
    method = felt_model(loaded, pictures).method
    method.save(tmp_path / "editor")
    found = tuple(
        Replica(tiny_folder, tmp_path / "editor", tmp_path / "edits.db") for _ in range(2)
    )
    try:
        for one in found:
            one.wait()
        yield found
    finally:
        for one in found:
            one.end()


def test_both_answer_alike_and_one_goes_on_alone(replicas, pictures, tmp_path) -> None:
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


def test_what_was_acknowledged_outlives_a_kill(replicas, pictures, tmp_path) -> None:
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
    log = EditLog(tmp_path / "edits.db")
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
