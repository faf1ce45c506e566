"""Servers of the tiny model in processes of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from liveedit.client import Client


class Replica:
    """A server of the tiny model."""

    def __init__(self, model: Path, editor: Path, store: str | Path, *more: str) -> None:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = found.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._words = [
            sys.executable, "-m", "liveedit", "serve", "--model", str(model), "--editor",
            str(editor), "--store", str(store), "--port", str(self.port), "--dtype", "float32",
            *more,
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


@contextmanager
def running(*servers: Replica) -> Iterator[None]:
    """Until all are ready; they end with the context."""
    try:
        for one in servers:
            one.wait()
        yield
    finally:
        for one in servers:
            one.end()
