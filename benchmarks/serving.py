"""How much one server answers: load, overload and memory, on this machine alone.

    python benchmarks/serving.py load --clients 1,8,32 --requests 48
    python benchmarks/serving.py overload
    python benchmarks/serving.py memory --seconds 1800

`load` compares with calling `generate` in a loop. The machine's other load is told with the
figures: on a busy one they mean little.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from serving_client import ask_all, memory, requests, served


def in_a_loop(model: str, count: int, tokens: int) -> dict[str, Any]:
    """The same questions one after the other, without a server."""
    from liveedit import EditedModel
    from liveedit.serve.schema import ChatRequest, as_conversation

    edited = EditedModel.from_pretrained(model)
    talks = [as_conversation(ChatRequest(**one).messages, None) for one in requests(count, tokens)]
    edited.chat(talks[0], max_new_tokens=2)
    said, began = 0, time.perf_counter()
    for talk in talks:
        answer = edited.chat(talk, max_new_tokens=tokens)
        ids = edited.backbone.tokenizer(answer, add_special_tokens=False)["input_ids"]
        said += min(tokens, len(ids) + 1)  # with the token that ends it
    seconds = time.perf_counter() - began
    return {
        "what": "generate in a loop",
        "tokens_per_second": round(said / seconds, 1),
        "p50_seconds": round(seconds / count, 2),
    }


def load(given: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Tokens a second and waiting times by the number of clients."""
    rows = []
    with served(folder, model=given.model) as (url, _):
        asyncio.run(ask_all(url, requests(2, 4), 2))
        for clients in map(int, given.clients.split(",")):
            asked = requests(max(given.requests, clients), given.tokens)
            outcome = asyncio.run(ask_all(url, asked, clients))
            rows.append({"what": f"{clients} clients", **outcome.row()})
    return [in_a_loop(given.model, given.requests, given.tokens), *rows]


def overload(given: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Four times as many clients as are answered or wait; then few again."""
    batch, waiting = 8, 8
    options = ("--batch", str(batch), "--waiting", str(waiting))
    with served(folder, *options, model=given.model) as (url, _):
        asyncio.run(ask_all(url, requests(2, 4), 2))
        many = 4 * (batch + waiting)
        rows = []
        for clients, told in ((many, f"{many} clients, {batch + waiting} places"), (8, "then 8")):
            outcome = asyncio.run(ask_all(url, requests(2 * clients, given.tokens), clients))
            rows.append({"what": told, **outcome.row()})
        return rows


def memory_over_time(given: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Memory while questions are asked and corrections are made and revoked."""
    rows = []
    with (
        served(folder, model=given.model) as (url, pid),
        httpx.Client(base_url=url, timeout=120) as client,
    ):
        until, at, began = time.time() + given.seconds, 0, time.time()
        asked = requests(24, 8)
        while time.time() < until:
            body = asked[at % len(asked)]
            picture, question = body["messages"][0]["content"]
            edit = {"images": [picture["image_url"]["url"]], "prompt": question["text"],
                    "target": f"number {at}"}  # fmt: skip
            made = client.post("/v1/edits", json=edit)
            client.post("/v1/chat/completions", json=body).raise_for_status()
            if at % 2 and made.is_success:
                client.delete(f"/v1/edits/{made.json()['id']}").raise_for_status()
            at += 1
            if at in (1, 10) or at % 50 == 0:
                rows.append({"edits": at, "seconds": round(time.time() - began),
                             "megabytes": round(memory(pid))})  # fmt: skip
        rows.append({"edits": at, "seconds": round(time.time() - began),
                     "megabytes": round(memory(pid))})  # fmt: skip
    return rows


def main() -> None:
    """Measure one thing."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("what", choices=["load", "overload", "memory"])
    arguments.add_argument("--model", default="pocket")
    arguments.add_argument("--clients", default="1,8,32", help="how many at a time")
    arguments.add_argument("--requests", type=int, default=48)
    arguments.add_argument("--tokens", type=int, default=16, help="longest answer")
    arguments.add_argument("--seconds", type=float, default=1800.0, help="of `memory`")
    given = arguments.parse_args()
    measure = {"load": load, "overload": overload, "memory": memory_over_time}[given.what]
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        for row in measure(given, Path(folder)):
            print(json.dumps(row), flush=True)
    print(json.dumps({"cores": os.cpu_count(), "load_before": round(before, 1)}))


if __name__ == "__main__":
    main()
