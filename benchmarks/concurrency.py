"""Processes that write and processes that read one store at the same time.

Each writer adds pairs of edits, a pair a revision, and revokes every other pair, again in one
revision. Each reader asks for the pool again and again: it must never see half a pair, nor an older
revision than before. In the end all that any writer was told is done must be there.

    python benchmarks/concurrency.py --seconds 60 --json
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch

from liveedit.store.check import check_store
from liveedit.store.edit import Edit
from liveedit.store.layout import Layout
from liveedit.store.records import Identity
from liveedit.store.sql import SqlStore
from liveedit.store.tensors import Keys

RANK, WIDTH, FEATURES = 4, 64, 128
LAYOUT = Layout(
    keys={"vision": FEATURES, "prompt": FEATURES}, values={"u": (RANK, WIDTH), "v": (RANK, WIDTH)}
)
IDENTITY = Identity(fingerprint={"made": "up"}, method="liveedit", layout=LAYOUT)


def write(location: str, writer: int, until: float, told: multiprocessing.Queue) -> None:
    store = SqlStore(location, IDENTITY)
    done: list[tuple[str, bool]] = []
    while time.time() < until:
        pair = f"{writer}-{len(done)}"
        edits = [
            Edit(id=f"{pair}-{half}", prompt=pair, target=half, image=None) for half in ("a", "b")
        ]
        filled = torch.full((2, RANK, WIDTH), float(len(done)))
        store.add(
            edits,
            Keys(
                vectors={
                    "vision": torch.zeros(2, FEATURES),
                    "prompt": torch.full((2, FEATURES), float(len(done))),
                },
                sees=torch.zeros(2, dtype=torch.bool),
            ),
            {"u": filled, "v": -filled},
        )
        revoked = len(done) % 2 == 1
        if revoked:
            store.log.revoke([edit.id for edit in edits])
        done.append((pair, revoked))
    told.put(("written", done))


def read(location: str, until: float, told: multiprocessing.Queue) -> None:
    store = SqlStore(location, IDENTITY)
    looks, newest, wrong = 0, 0, []
    while time.time() < until:
        pool = store.pool()
        rows = pool.eligible[0].nonzero().flatten()
        halves = Counter(pool.ids[row].rpartition("-")[0] for row in rows.tolist())
        wrong += [pair for pair, count in halves.items() if count != 2]
        if pool.revision < newest:
            wrong.append(f"back from {newest} to {pool.revision}")
        last = rows[-2:]
        values = pool.take(last)
        numbers = [float(pool.ids[row].split("-")[1]) for row in last.tolist()]
        if [part.unique().tolist() for part in values["u"]] != [[number] for number in numbers]:
            wrong.append(f"values of {numbers}")
        looks, newest = looks + 1, pool.revision
    told.put(("read", (looks, newest, wrong[:10])))


def run(location: str, seconds: float, writers: int, readers: int) -> dict[str, object]:
    SqlStore(location, IDENTITY).close()
    context = multiprocessing.get_context("fork")
    told = context.Queue()
    until = time.time() + seconds
    processes = [
        context.Process(target=write, args=(location, number, until, told))
        for number in range(writers)
    ] + [context.Process(target=read, args=(location, until, told)) for _ in range(readers)]
    for process in processes:
        process.start()
    found = [told.get(timeout=seconds + 120) for _ in processes]
    for process in processes:
        process.join()
    done = [one for kind, many in found if kind == "written" for one in many]
    reads = [one for kind, one in found if kind == "read"]
    store = SqlStore(location)
    there = {edit.id for edit in store.edits}
    wanted = {f"{pair}-{half}" for pair, revoked in done if not revoked for half in ("a", "b")}
    return {
        "seconds": seconds,
        "writers": writers,
        "readers": readers,
        "pairs_written": len(done),
        "revisions": store.revision,
        "lost": len(wanted - there),
        "not_revoked": len(there - wanted),
        "looks": sum(looks for looks, _, _ in reads),
        "newest_seen": [newest for _, newest, _ in reads],
        "wrong": [one for _, _, wrong in reads for one in wrong],
        "check": check_store(store.log).problems,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", help="file or URL of a store that is not there; a temporary one")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--readers", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        location = asked.store or str(Path(folder) / "edits.db")
        figures = run(location, asked.seconds, asked.writers, asked.readers)
    if asked.json:
        print(json.dumps(figures))
    else:
        for name, figure in figures.items():
            print(f"{name:14} {figure}")
    if any(figures[name] for name in ("lost", "not_revoked", "wrong", "check")):
        sys.exit(1)


if __name__ == "__main__":
    main()
