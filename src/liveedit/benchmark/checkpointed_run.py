"""A run in parts: each is written whole, so that a killed run goes on, and processes share them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from liveedit.benchmark.editing_cost import Editing, editing_of
from liveedit.benchmark.protocol import Protocol
from liveedit.benchmark.suite import Group
from liveedit.distributed import every_process, processes
from liveedit.saving.files import write_whole

_CORRECTIONS = 50  # edits of a part, at least: enough for full batches, and little to lose
_SHOWN = ("rel", "t_gen", "m_gen", "m_loc", "ri", "ci")  # in the progress bar


@dataclass(frozen=True, kw_only=True)
class Part:
    """Groups that are run together.

    Args:
        name: Of its file.
        groups: The groups.
        first: Number of the first of them.
    """

    name: str
    groups: Sequence[Group]
    first: int


@dataclass(frozen=True, kw_only=True)
class PartsRun:
    """What came of all parts.

    Args:
        records: Of all parts.
        seconds: They took, summed over processes.
        editing: What an edit cost; see `editing_of`.
    """

    records: list[dict[str, Any]]
    seconds: float
    editing: dict[str, float]


def parts_of(groups: Sequence[Group], name: str) -> list[Part]:
    """Cut groups into parts of about equal work, the same whatever the number of processes."""
    parts: list[Part] = []
    first, edits = 0, 0
    for number, group in enumerate(groups, 1):
        edits += len(group.edited)
        if edits >= _CORRECTIONS or number == len(groups):
            some = groups[first:number]
            parts.append(Part(name=f"{name}-{len(parts):04}", groups=some, first=first))
            first, edits = number, 0
    return parts


def run_parts(protocol: Protocol, parts: Sequence[Part], folder: Path, title: str) -> PartsRun:
    """Run the parts that are not in the folder, this process its share; then read them all.

    Args:
        protocol: Runs groups.
        parts: What to run.
        folder: Where ``NAME.json`` are kept, each with ``seconds``, ``editing`` and ``records``.
        title: Of the progress bar.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mine = parts[processes().process_index :: processes().num_processes]
    running = _Running()
    with tqdm(
        total=sum(protocol.probes(part.groups) for part in mine),
        desc=title,
        unit="probe",
        disable=not processes().is_main_process,
    ) as bar:
        for part in mine:
            path = folder / f"{part.name}.json"
            if path.exists():
                bar.update(protocol.probes(part.groups))
            else:
                began = time.perf_counter()
                records = list(running.watch(protocol.run(part.groups, first=part.first), bar))
                seconds = round(time.perf_counter() - began, 2)
                part_run = {
                    "seconds": seconds, "editing": asdict(protocol.editing), "records": records
                }  # fmt: skip
                write_whole(path, json.dumps(part_run))
    every_process()
    found = [
        json.loads((folder / f"{part.name}.json").read_text(encoding="utf-8")) for part in parts
    ]
    return PartsRun(
        records=[record for part in found for record in part["records"]],
        seconds=sum(part["seconds"] for part in found),
        editing=editing_of([Editing(**part["editing"]) for part in found if "editing" in part]),
    )


class _Running:
    """Means so far, for a progress bar."""

    def __init__(self) -> None:
        self._sums = {metric: [0.0, 0] for metric in _SHOWN}

    def watch(self, records: Iterator[dict[str, Any]], bar: Any) -> Iterator[dict[str, Any]]:
        for number, record in enumerate(records):
            if record["metric"] in self._sums:
                sums = self._sums[record["metric"]]
                sums[0] += record["exact" if record["accuracy"] is None else "accuracy"]
                sums[1] += 1
            if number % 100 == 0:
                bar.set_postfix_str(
                    " ".join(f"{m} {100 * s / n:.1f}" for m, (s, n) in self._sums.items() if n)
                )
            bar.update()
            yield record
