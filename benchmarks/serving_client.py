"""A server in a process of its own, and clients that ask it; shared by the measurements."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from liveedit.data.emoji_edit.scene import Placement, Scene, render

THINGS = ("teacup", "umbrella", "bicycle", "cat", "rocket", "guitar", "key", "banana")
QUESTIONS = ("What is this?", "Who does this belong to?", "Describe the picture in one sentence.")
ANY = {"read": None, "write": None, "connect": 10.0, "pool": None}


@dataclass(kw_only=True)
class Outcome:
    """What came of many requests."""

    seconds: float = 0.0
    tokens: int = 0
    times: list[float] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    retry_after: int = 0

    def row(self) -> dict[str, Any]:
        """Figures, rounded."""
        good = sorted(self.times) or [0.0]
        return {
            "answers": self.statuses.count(200),
            "refused": self.statuses.count(429),
            "other": len(self.statuses) - self.statuses.count(200) - self.statuses.count(429),
            "with_retry_after": self.retry_after,
            "tokens_per_second": round(self.tokens / max(self.seconds, 1e-9), 1),
            "p50_seconds": round(statistics.median(good), 2),
            "p99_seconds": round(good[min(len(good) - 1, int(0.99 * len(good)))], 2),
        }


@contextlib.contextmanager
def served(folder: Path, *options: str, model: str = "pocket") -> Iterator[tuple[str, int]]:
    """A server on a free port of this machine, and its process."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    words = [sys.executable, "-m", "liveedit", "serve", "--model", model, "--port", str(port),
             "--store", str(folder / "edits.db"), *options]  # fmt: skip
    with (folder / "server.log").open("a") as log:
        process = subprocess.Popen(words, stderr=log)
    try:
        wait_until_ready(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
        process.wait(150)


def wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    """Until the model is loaded."""
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError("the server ended; see server.log")
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/ready").is_success:
                return
        time.sleep(0.2)
    raise RuntimeError("the server does not become ready")


def pictures() -> list[str]:
    """Drawings as data URLs."""
    found = []
    for thing in THINGS:
        placed = Placement(concept=thing, drawing="openmoji", x=128, y=128, size=180)
        file = io.BytesIO()
        scene = Scene(placements=(placed,), ground="blue", pattern="plain", seed=1)
        render(scene).save(file, "PNG")
        found.append(f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}")
    return found


def requests(count: int, tokens: int) -> list[dict[str, Any]]:
    """So many questions about pictures, in turn."""
    shown = pictures()
    return [
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "image_url", "image_url": {"url": shown[at % len(shown)]}},
                        {"type": "text", "text": QUESTIONS[at // len(shown) % len(QUESTIONS)]},
                    ],
                }
            ],
            "max_tokens": tokens,
        }
        for at in range(count)
    ]


async def ask_all(url: str, asked: Sequence[dict[str, Any]], clients: int) -> Outcome:
    """Every client asks the next question as soon as it has an answer."""
    outcome, left = Outcome(), list(reversed(asked))
    limits = httpx.Limits(max_connections=clients)

    async def one(client: httpx.AsyncClient) -> None:
        while left:
            body = left.pop()
            began = time.perf_counter()
            found = await client.post("/v1/chat/completions", json=body)
            outcome.statuses.append(found.status_code)
            outcome.retry_after += "retry-after" in found.headers
            if found.is_success:
                outcome.times.append(time.perf_counter() - began)
                outcome.tokens += found.json()["usage"]["completion_tokens"]

    async with httpx.AsyncClient(
        base_url=url, timeout=httpx.Timeout(**ANY), limits=limits
    ) as client:
        began = time.perf_counter()
        await asyncio.gather(*(one(client) for _ in range(clients)))
        outcome.seconds = time.perf_counter() - began
    return outcome


def memory(pid: int) -> float:
    """Megabytes of a process."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1024
