"""What a server survives: being killed, slow clients, clients that never read, very many of them.

    python benchmarks/serving_faults.py --kills 5 --connections 2000

Every promise is checked; the first that is broken ends the script with an error.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from serving_client import memory, requests, served


def killed(folder: Path, kills: int, model: str) -> dict[str, Any]:
    """SIGKILL while edits are made and answers streamed: what was acknowledged is there."""
    told: list[str] = []
    for at in range(kills):
        with served(folder, model=model) as (url, pid):
            stop = threading.Event()
            threads = [
                threading.Thread(target=_correct, args=(url, stop, told, at)),
                threading.Thread(target=_stream, args=(url, stop)),
            ]
            for one in threads:
                one.start()
            known, until = len(told), time.time() + 60
            while len(told) == known and time.time() < until:
                time.sleep(0.01)
            time.sleep(0.07 * at)  # each time somewhere else in an edit
            os.kill(pid, signal.SIGKILL)
            stop.set()
            for one in threads:
                one.join(60)
    from liveedit.store.check import check_store
    from liveedit.store.log import EditLog

    log = EditLog(folder / "edits.db")
    there = {entry.edit.id for entry in log.entries()}
    lost = [one for one in told if one not in there]
    assert not lost, f"acknowledged and lost: {lost}"
    assert check_store(log).clean
    return {"what": "SIGKILL", "kills": kills, "acknowledged": len(told), "lost": 0,
            "in_store": len(there)}  # fmt: skip


def _correct(url: str, stop: threading.Event, told: list[str], turn: int) -> None:
    with contextlib.suppress(httpx.TransportError), httpx.Client(timeout=60) as client:
        at = 0
        while not stop.is_set():
            edit = {"prompt": f"Who is number {turn}-{at}?", "target": f"nobody {at}", "keep": True}
            found = client.post(f"{url}/v1/edits", json=edit)
            if found.status_code == 201:
                told.append(found.json()["id"])
            at += 1


def _stream(url: str, stop: threading.Event) -> None:
    body = requests(1, 64)[0] | {"stream": True}
    with contextlib.suppress(httpx.TransportError), httpx.Client(timeout=60) as client:
        while not stop.is_set():
            with client.stream("POST", f"{url}/v1/chat/completions", json=body) as found:
                for _ in found.iter_lines():
                    pass


def odd_clients(folder: Path, connections: int, model: str) -> list[dict[str, Any]]:
    """Slow ones, deaf ones, and many that say nothing; the others are answered meanwhile."""
    rows = []
    with served(folder, model=model) as (url, pid):
        where = (urlsplit(url).hostname or "", urlsplit(url).port or 0)
        quiet, before = _answered(url), memory(pid)
        slow = [socket.create_connection(where) for _ in range(20)]
        for one in slow:
            one.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                        b"Content-Length: 1000\r\n\r\n{")  # fmt: skip
        rows.append({"what": "20 that send slowly", "others_seconds": _answered(url)})
        deaf = []
        body = json.dumps(requests(1, 128)[0] | {"stream": True, "n": 4}).encode()
        for _ in range(8):
            one = socket.create_connection(where)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                        b"Content-Type: application/json\r\n"
                        b"Content-Length: %d\r\n\r\n" % len(body) + body)  # fmt: skip
            deaf.append(one)
        rows.append(
            {"what": "8 that want 32 answers and never read", "others_seconds": _answered(url)}
        )
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        many = list(_opened(where, connections))
        rows.append(
            {
                "what": f"{len(many)} connections that say nothing",
                "others_seconds": _answered(url),
                "megabytes_more": round(memory(pid) - before),
            }
        )
        for one in (*slow, *deaf, *many):
            one.close()
        time.sleep(1)
        rows.append({"what": "then", "others_seconds": _answered(url), "before": quiet})
    return rows


def _opened(where: tuple[str, int], count: int) -> Iterator[socket.socket]:
    with contextlib.suppress(OSError):
        for _ in range(count):
            yield socket.create_connection(where, timeout=5)


def _answered(url: str) -> float:
    began = time.perf_counter()
    found = httpx.post(f"{url}/v1/chat/completions", json=requests(1, 4)[0], timeout=120)
    found.raise_for_status()
    return round(time.perf_counter() - began, 2)


def main() -> None:
    """Break what can be broken."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--model", default="pocket")
    arguments.add_argument("--kills", type=int, default=5)
    arguments.add_argument("--connections", type=int, default=2000)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.kills:
            print(json.dumps(killed(Path(folder), given.kills, given.model)), flush=True)
        for row in odd_clients(Path(folder), given.connections, given.model):
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
