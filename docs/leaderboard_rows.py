"""Rows of the leaderboard and of results/*/README.md: what the summaries under results/ say.

A row is a folder: ``summary.json`` of ``liveedit bench run``, and beside it, if there are any,
``cost.json`` of ``liveedit bench cost``, ``general.json`` of ``liveedit bench general``,
``scope.json`` of ``liveedit bench run --suite``, and ``row.json``, which says what a row is called,
where its method comes from and what it ran on. No figure of a run is copied by hand; how long
methods were trained before is in ``trained.json``, by the rows' names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from liveedit.benchmark.metrics import OBJECTIVE

PICTURES, WORDS = "easy-VQA test", "text-only answers"  # the skills in general.json


@dataclass(frozen=True, kw_only=True)
class Named:
    """What a row says of itself.

    Args:
        folder: Where it lies, under results/.
        name: What it is called.
        link: A page about its method.
        note: What to know of it.
        drawn: Whether it has a dot in pictures; rows of an ablation crowd around one place.
    """

    folder: str
    name: str
    link: str | None
    note: str
    drawn: bool = True


@dataclass(frozen=True, kw_only=True)
class Row(Named):
    """A run with N edits in force.

    Args:
        edits: N.
        summary: Its ``summary.json``.
        figures: By metric.
        cost: Its ``cost.json``, and what the run itself says of edits.
        general: Its ``general.json``, if that is of as many edits.
        trained: Of ``trained.json``: ``minutes``, and ``what`` took them; empty if not known.
    """

    edits: int
    summary: dict[str, Any]
    figures: dict[str, dict[str, Any]]
    cost: dict[str, Any] = field(default_factory=dict)
    general: dict[str, Any] = field(default_factory=dict)
    trained: dict[str, Any] = field(default_factory=dict)

    @property
    def asked(self) -> int | None:
        """How many corrections were asked about."""
        number: int | None = self.figures.get("rel", {}).get("n")
        return number

    def mean(self, measure: str) -> float | None:
        """Of the metrics that settings are chosen by; None if one is missing."""
        found = [self.figures.get(metric, {}).get(measure) for metric in OBJECTIVE]
        known = [one for one in found if one is not None]
        return sum(known) / len(known) if len(known) == len(found) else None


def rows_of(results: Path, folders: str = "*/*") -> list[Row]:
    """All rows, the best of each N first.

    Args:
        results: Where their folders are, and ``trained.json``.
        folders: Which they are.
    """
    paths = sorted(results.glob(f"{folders}/summary.json"))
    found = [row for path in paths for row in _rows(path, results)]
    return sorted(found, key=lambda row: (row.edits, -(row.mean("exact_match") or 0.0)))


def _rows(path: Path, results: Path) -> Iterator[Row]:
    summary = json.loads(path.read_text(encoding="utf-8"))
    cost, general = _beside(path, "cost.json"), _beside(path, "general.json")
    named = named_by(path, results, summary["method"])
    trained = _json(results / "trained.json").get(named["name"], {})
    for edits, run in summary["runs"].items():
        of_run = {key: run[key] for key in ("seconds_per_edit", "bytes_per_edit") if key in run}
        yield Row(
            **named,
            edits=int(edits),
            summary=summary,
            figures=run["metrics"],
            cost=of_run | cost,
            general=general if general.get("edits") == int(edits) else {},
            trained=trained,
        )


def named_by(path: Path, results: Path, method: str) -> dict[str, Any]:
    """The arguments of :class:`Named`, for a file in a row's folder.

    Args:
        path: The file.
        results: The folder of all datasets.
        method: That it is of.
    """
    about, folder = _beside(path, "row.json"), path.parent.name
    return {
        "folder": str(path.parent.relative_to(results)),
        "name": about.get("name", method if folder == method else f"{method} ({folder})"),
        "link": about.get("link", _page_of(method)),
        "note": about.get("note", ""),
        "drawn": about.get("drawn", True),
    }


def _beside(path: Path, name: str) -> dict[str, Any]:
    return _json(path.with_name(name))


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _page_of(method: str) -> str | None:
    """The page about a method, from the leaderboard's own."""
    here = Path(__file__).resolve().parent
    if (here / "methods" / f"{method}.md").is_file():
        return f"methods/{method}.html"
    return {"liveedit": "method.html", "retrieval": "choose-a-method.html"}.get(method)
