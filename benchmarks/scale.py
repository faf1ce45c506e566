"""How a store does with very many edits: one filter query, agreement, memory, disk, open, add.

Routing features are made up to resemble real ones: k = 4 unit vectors each, flattened. A picture's
vectors are a part common to all pictures, one that belongs to its concept (one concept for every
20 edits, in a subspace of 64 dimensions), and noise, such that two pictures of one concept have a
cosine of about 0.75 and two of different concepts of about 0.3; questions likewise, with 500
families. Half of the queries are corrections that come again (cosine about 0.9 with their own
edit), half are about concepts that no edit is about. The router has the scales and margins of the
shipped editor; the sentinel is 0.45 like every picture. Experts are random, of the shipped editor's
size (rank 8, width 576), so that bytes on disk are those of real ones.

    python benchmarks/scale.py --edits 1000 10000 100000 --json

A million edits take 61 GB of disk: 55 in the store, of which experts are 37 and features 12, and
6 of features in half precision, mapped into memory (--half). --width and --features make all of it
smaller, and say so in what is printed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from uuid import uuid4

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from liveedit.methods.liveedit.features import EditFeatures, RoutingFeatures
from liveedit.methods.liveedit.routing import Router
from liveedit.methods.liveedit.selection import choose_experts, route_in
from liveedit.methods.liveedit.tensors import features_of, keys_of
from liveedit.store.edit import Edit
from liveedit.store.layout import Layout
from liveedit.store.pool import Pool
from liveedit.store.records import Identity
from liveedit.store.sql import SqlStore
from liveedit.store.tensors import Keys

VECTORS, RANK, BATCH = 4, 8, 1000
PER_CONCEPT, FAMILIES, SUBSPACE = 20, 500, 64


class Made:
    """Features that are the same for the same number."""

    def __init__(self, length: int) -> None:
        self.length = length
        random = torch.Generator().manual_seed(0)
        self.bases = [torch.randn(SUBSPACE, length, generator=random) / 8 for _ in range(2)]
        self.common = [torch.randn(length, generator=random) for _ in range(2)]

    def of(self, kind: int, groups: Tensor, seed: int) -> Tensor:
        """Vision (0) or prompt (1) features of members of some groups."""
        random = torch.Generator().manual_seed(seed)
        low, which = groups.unique(return_inverse=True)
        centres = torch.stack(
            [
                torch.randn(SUBSPACE, generator=torch.Generator().manual_seed(int(group)))
                for group in low.tolist()
            ]
        )
        mixed = 0.65 * self.common[kind] + 0.8 * (centres @ self.bases[kind])[which]
        noise = torch.randn(len(groups), self.length, generator=random)
        return self.unit(mixed + 0.6 * noise)

    def unit(self, vectors: Tensor) -> Tensor:
        each = F.normalize(vectors.unflatten(1, (VECTORS, -1)), dim=-1)
        return each.flatten(1) / VECTORS**0.5

    def edits(self, first: int, count: int) -> EditFeatures:
        """The edits of some numbers; first must be a multiple of the batch."""
        numbers = torch.arange(first, first + count)
        random = torch.Generator().manual_seed(first + 7)
        return EditFeatures(
            vision=self.of(0, numbers // PER_CONCEPT, first + 1),
            prompt=self.of(1, torch.randint(FAMILIES, (count,), generator=random), first + 2),
            sees=torch.ones(count, dtype=torch.bool),
        )

    def queries(self, edits: EditFeatures) -> RoutingFeatures:
        """Half of them edits that come again, half about something else."""
        random = torch.Generator().manual_seed(99)
        half = len(edits.sees) // 2

        def again(features: Tensor) -> Tensor:
            spread = 0.45 * torch.randn(half, self.length, generator=random) / self.length**0.5
            return self.unit(features[:half] + spread)

        new = torch.arange(half) + 10**7
        vision = torch.cat([again(edits.vision), self.of(0, new, 5)])
        prompt = torch.cat([again(edits.prompt), self.of(1, new % FAMILIES, 6)])
        sees = torch.ones(2 * half, dtype=torch.bool)
        return RoutingFeatures(vision=vision, prompt=prompt, sees=sees, sentinel=0.45 * vision)


def shipped_router() -> Router:
    """Scales and margins of the shipped editor."""
    from safetensors.torch import load_file

    from liveedit.methods.liveedit.checkpoint import WEIGHTS_FILE
    from liveedit.pocket.source import shipped_editor

    router = Router()
    weights = load_file(shipped_editor() / WEIGHTS_FILE)
    router.load_state_dict(
        {
            name.removeprefix("router."): value.float()
            for name, value in weights.items()
            if name.startswith("router.")
        }
    )
    return router.requires_grad_(False)


def batches(
    made: Made, done: int, count: int, width: int
) -> Iterator[tuple[list[Edit], Keys, dict[str, Tensor]]]:
    for first in range(done, count, BATCH):
        some = min(BATCH, count - first)
        random = torch.Generator().manual_seed(first)
        weights = torch.randn(2, some, RANK, width, generator=random)
        edits = [
            Edit(id=f"{number:07d}", prompt=f"question {number}", target="t", image=f"{number}")
            for number in range(first, first + some)
        ]
        yield edits, keys_of(made.edits(first, some)), {"u": weights[0], "v": weights[1]}


def memory() -> dict[str, int]:
    """Memory of this process now, MB: its own, and of files that are mapped."""
    lines = Path("/proc/self/status").read_text().splitlines()
    held = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith("Rss")}
    return {"own": held["RssAnon"] // 1000, "mapped": held["RssFile"] // 1000}


def feature_files(location: Path) -> list[Path]:
    """Files of features and index that are kept beside a store."""
    return [*Path(f"{location}-features").glob("*")]


def milliseconds(times: list[float]) -> dict[str, float]:
    found = np.percentile(np.array(times) * 1e3, [50, 99])
    return {"p50": round(float(found[0]), 2), "p99": round(float(found[1]), 2)}


def fill(location: Path, made: Made, count: int, dtype: torch.dtype, width: int) -> int | None:
    """Make a store; the edits added a second, None if it was there already."""
    identity = Identity(
        fingerprint={"made": "up"},
        method="liveedit",
        layout=Layout(
            keys={"vision": made.length, "prompt": made.length},
            values={"u": (RANK, width), "v": (RANK, width)},
        ),
    )
    store = SqlStore(location, identity, dtype=dtype)
    began, first = time.perf_counter(), len(store)
    with tqdm(total=count, initial=first, desc=f"filling {count}", unit="edit") as bar:
        for edits, keys, values in batches(made, first, count, width):
            store.add(edits, keys, values)
            bar.update(len(edits))
    store.close()
    return round((count - first) / (time.perf_counter() - began)) if first < count else None


def measure(count: int, folder: Path, options: argparse.Namespace) -> dict[str, object]:
    torch.set_num_threads(options.threads)
    made, router = Made(options.features), shipped_router()
    dtype = torch.float16 if options.half else torch.float32
    location = folder / f"{count}.db"
    filled = fill(location, made, count, dtype, options.width)
    before, began = memory(), time.perf_counter()
    store = SqlStore(location, dtype=dtype)
    opened = time.perf_counter() - began
    grown = {kind: size - before[kind] for kind, size in memory().items()}

    some = made.edits(0, min(count, BATCH))
    chosen = torch.arange(options.queries) % len(some.sees)
    queries = made.queries(
        EditFeatures(vision=some.vision[chosen], prompt=some.prompt[chosen], sees=some.sees[chosen])
    )
    times, fetches, wanted, found, silent = [], [], 0, 0, 0
    routed = exactly(router, queries, store.pool())
    for row, exact in enumerate(tqdm(routed, desc="asking", unit="query")):
        query = queries.rows(slice(row, row + 1))
        began = time.perf_counter()
        pool = store.pool()
        near = pool.near(keys_of(query))
        route = route_in(router, query, near)
        times.append(time.perf_counter() - began)
        began = time.perf_counter()
        choose_experts(router, query, pool)
        fetches.append(time.perf_counter() - began)
        got = {near.ids[column] for column in route.weights[0].nonzero().flatten().tolist()}
        wanted, found, silent = wanted + len(exact), found + len(got & exact), silent + (not exact)
        assert got <= exact, "the index must not add experts"

    adding = []
    for _ in tqdm(range(20), desc="adding", unit="edit"):
        (one,) = batches(made, count, count + 1, options.width)  # about what no query is about
        edit = Edit(id=uuid4().hex, prompt="new", target="t", image="new")
        began = time.perf_counter()
        store.add([edit], one[1], one[2])
        store.pool()
        adding.append(time.perf_counter() - began)
    figures = {
        "edits": count,
        "features": options.features,
        "width": options.width,
        "dtype": str(dtype).removeprefix("torch."),
        "filter_ms": milliseconds(times),
        "filter_and_fetch_ms": milliseconds(fetches),
        "routed_exactly": wanted,
        "found": found,
        "agreement_percent": round(100 * found / wanted, 3) if wanted else None,
        "queries_routed_to_nothing": silent,
        "memory_mb": grown,
        "disk_mb": {
            "store": round(store.log.database.size() / 1e6),
            "features": round(sum(path.stat().st_size for path in feature_files(location)) / 1e6),
        },
        "open_seconds": round(opened, 2),
        "add_one_ms": milliseconds(adding),
        "fill_edits_per_second": filled,
    }
    store.close()
    return figures


def exactly(router: Router, queries: RoutingFeatures, pool: Pool) -> list[set[str]]:
    """Names that each query is routed to when all are compared, a part of the pool at a time."""
    names: list[set[str]] = [set() for _ in queries.sees]
    crowd = pool.crowd_of(queries.sees)
    first = 0
    with tqdm(total=len(pool.keys), desc="comparing all", unit="edit") as bar:
        for keys in pool.keys.parts():
            features = features_of(keys)
            last = first + len(features.sees)
            route = router.route(queries, features, pool.eligible[:, first:last], crowd)
            for row, column in route.passes.nonzero().tolist():
                names[row].add(pool.ids[first + column])
            bar.update(last - first)
            first = last
    return names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--edits", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--features", type=int, default=1536, help="length of a routing feature")
    parser.add_argument("--width", type=int, default=576, help="of the backbone's states")
    parser.add_argument("--half", action="store_true", help="hold features in half precision")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--folder", type=Path, help="where stores are kept and used again; a temporary folder"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    fresh = ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1)  # memory is its own
    with tempfile.TemporaryDirectory() as folder, fresh:
        for count in options.edits:
            place = options.folder or Path(folder)
            figures = fresh.submit(measure, count, place, options).result()
            for path in Path(folder).glob("*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            if options.json:
                print(json.dumps(figures), flush=True)
            else:
                for name, figure in figures.items():
                    print(f"{name:26} {figure}")


if __name__ == "__main__":
    main()
