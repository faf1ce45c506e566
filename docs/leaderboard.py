"""The leaderboard: tables and a picture from results/*/*/summary.json, made as the site is built.

A row is a folder: ``summary.json`` of ``liveedit bench run``, and beside it, if there are any,
``cost.json`` of ``liveedit bench cost`` and ``row.json``, which says what a row is called,
where its method comes from and what it ran on. No figure is copied by hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, TypeAlias

from leaderboard_curves import curves_of
from leaderboard_picture import picture_of

from liveedit.benchmark.metrics import OBJECTIVE
from liveedit.benchmark.published.paper import FIVE, published
from liveedit.benchmark.report.labels import label

PLACE = "<!-- leaderboard -->"
PLACE_OF_QUOTED = "<!-- quoted -->"
_LEGEND = "The larger a dot, the more is stored of an edit."
_LEGEND_OF_CURVES = "Methods that were run with several numbers of edits on the same model."
_FURTHER = ("t_loc", "ni")  # not in the mean
_COSTS = ("s / edit", "kB / edit", "prefill", "decode", "revoke, s")
Cell: TypeAlias = tuple[str, float | None, str]  # shown, sorted by, and what is said of it
_MEASURES = {"exact_match": "Exact match", "accuracy": "Teacher-forced token accuracy"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """A run with N edits in force.

    Args:
        folder: Where it lies, under results/.
        name: What it is called.
        link: A page about its method.
        note: What to know of it.
        edits: N.
        summary: Its ``summary.json``.
        figures: By metric.
        cost: Its ``cost.json``, and what the run itself says of edits.
    """

    folder: str
    name: str
    link: str | None
    note: str
    edits: int
    summary: dict[str, Any]
    figures: dict[str, dict[str, Any]]
    cost: dict[str, Any] = field(default_factory=dict)

    def mean(self, measure: str) -> float | None:
        """Of the metrics that settings are chosen by; None if one is missing."""
        found = [self.figures.get(metric, {}).get(measure) for metric in OBJECTIVE]
        known = [one for one in found if one is not None]
        return sum(known) / len(known) if len(known) == len(found) else None


def rows_of(results: Path) -> list[Row]:
    """All rows, the best of each dataset and N first."""
    found = [
        row for path in sorted(results.glob("*/*/summary.json")) for row in _rows(path, results)
    ]
    return sorted(found, key=lambda row: (row.edits, -(row.mean("exact_match") or 0.0)))


def _rows(path: Path, results: Path) -> Iterator[Row]:
    summary = json.loads(path.read_text(encoding="utf-8"))
    cost = _beside(path, "cost.json")
    about = _beside(path, "row.json")
    method, folder = summary["method"], path.parent.name
    name = method if folder == method else f"{method} ({folder})"
    for edits, run in summary["runs"].items():
        of_run = {key: run[key] for key in ("seconds_per_edit", "bytes_per_edit") if key in run}
        yield Row(
            folder=str(path.parent.relative_to(results)),
            name=about.get("name", name),
            link=about.get("link", _page_of(method)),
            note=about.get("note", ""),
            edits=int(edits),
            summary=summary,
            figures=run["metrics"],
            cost=of_run | cost,
        )


def _beside(path: Path, name: str) -> dict[str, Any]:
    there = path.with_name(name)
    return json.loads(there.read_text(encoding="utf-8")) if there.is_file() else {}


def _page_of(method: str) -> str | None:
    """The page about a method, from the leaderboard's own."""
    here = Path(__file__).resolve().parent
    if (here / "methods" / f"{method}.md").is_file():
        return f"methods/{method}.html"
    return {"liveedit": "method.html", "retrieval": "choose-a-method.html"}.get(method)


def leaderboard(results: Path) -> str:
    """The sections of all datasets, in Markdown with tables in HTML."""
    rows = rows_of(results)
    parts = []
    for dataset in dict.fromkeys(row.summary["dataset"] for row in rows):
        own = [row for row in rows if row.summary["dataset"] == dataset]
        parts.append(f"## {dataset}")
        for edits in dict.fromkeys(row.edits for row in own):
            some = [row for row in own if row.edits == edits]
            parts.append(f"### {dataset}, {edits:,} {'edit' if edits == 1 else 'edits'} in force")
            for measure, title in _MEASURES.items():
                if any(row.mean(measure) is not None for row in some):
                    parts.append(_html(table_of(some, measure, title)))
            dots: dict[str, Row] = {}
            for row in some:  # of rows with one name the best whose cost is known
                if row.cost.get("seconds_per_edit"):
                    dots.setdefault(row.name, row)
            picture = picture_of(
                [(name, row.mean("exact_match"), row.cost) for name, row in dots.items()],
                f"{dataset}-{edits}",
            )
            if picture:
                parts.append(_figure(picture, _LEGEND))
        curves = _curves(own)
        if curves:
            parts.append(f"### {dataset}, over the edits in force")
            parts.append(_figure(curves_of(curves, f"{dataset}-curves"), _LEGEND_OF_CURVES))
    return "\n\n".join(parts)


def _curves(rows: Sequence[Row]) -> dict[str, dict[int, dict[str, float]]]:
    """Exact match of every metric by name and N, the best method first."""
    found: dict[tuple[str, str], dict[int, Row]] = {}
    for row in rows:
        if row.mean("exact_match") is not None:
            found.setdefault((row.name, row.summary["backbone"]), {})[row.edits] = row
    several = {name: of for (name, _), of in found.items() if len(of) > 1}
    best = sorted(
        several, key=lambda name: -(several[name][max(several[name])].mean("exact_match") or 0.0)
    )
    return {
        name: {
            edits: {metric: row.figures[metric]["exact_match"] for metric in OBJECTIVE}
            for edits, row in several[name].items()
        }
        for name in best
    }


def table_of(rows: Sequence[Row], measure: str, title: str) -> str:
    """A table that can be sorted: quality, and what it costs."""
    costs = measure == "exact_match"  # once is enough
    quality = [*map(label, OBJECTIVE), *(_COSTS if costs else ()), *map(label, _FURTHER)]
    columns = ["method", "asked", "mean", *quality]
    lines = [_line(row, measure, costs=costs) for row in rows]
    return _table(f"{title}, in per cent", columns, lines)


def _line(row: Row, measure: str, *, costs: bool) -> list[Cell]:
    name = escape(row.name)
    named = f'<a href="{escape(row.link, quote=True)}">{name}</a>' if row.link else name
    about = "; ".join(
        str(part) for part in (row.note, row.folder, row.summary["backbone"], row.summary["dtype"])
        if part
    )  # fmt: skip
    return [
        (named, None, about),
        _number(row.figures.get("rel", {}).get("n"), 0),
        _number(row.mean(measure), 1),
        *(_quality(row, metric, measure) for metric in OBJECTIVE),
        *(_costs(row.cost) if costs else ()),
        *(_quality(row, metric, measure) for metric in _FURTHER),
    ]


def _quality(row: Row, metric: str, measure: str) -> Cell:
    figures = row.figures.get(metric)
    if figures is None:
        return _number(None, 1)
    interval = figures.get({"accuracy": "interval", "exact_match": "exact_interval"}[measure])
    said = "95%: {:.1f} to {:.1f}".format(*interval) if interval else ""
    return _number(figures[measure], 1, said)


def _costs(cost: dict[str, Any]) -> list[Cell]:
    where = f"{cost['device']}, {cost['threads']} threads" if "device" in cost else ""
    revoke = cost.get("revoke") or {}
    later = max(revoke, key=int, default=None)
    size = cost.get("bytes_per_edit")
    return [
        _number(cost.get("seconds_per_edit"), 3, where),
        _number(size if size is None else size / 1e3, 1),
        _number(cost.get("prefill", {}).get("ratio"), 2, where),
        _number(cost.get("decode", {}).get("ratio"), 2, where),
        _number(revoke.get(later), 3, f"{later} edits were made after it" if later else ""),
    ]


def quoted() -> str:
    """What papers say of their own runs, apart."""
    lines: list[list[Cell]] = []
    for row in published():
        if row.table != 1:
            continue
        names = [(escape(text), None, "") for text in (row.method, row.dataset, row.backbone)]
        numbers = [_number(row.metrics[metric], 2) for metric in FIVE]
        lines.append([*names, _number(row.edits, 0), *numbers, _number(row.average, 2)])
    columns = ["method", "dataset", "backbone", "N", *map(label, FIVE), "average"]
    return _html(_table("Quoted, not measured here", columns, lines, kind="quoted"))


def _number(value: float | None, digits: int, said: str = "") -> Cell:
    return ("", None, "") if value is None else (f"{value:,.{digits}f}", value, said)


def _table(
    caption: str,
    columns: Sequence[str],
    lines: Sequence[Sequence[Cell]],
    kind: str = "",
) -> str:
    head = "".join(
        f'<th scope="col"><button type="button">{escape(column)}</button></th>'
        for column in columns
    )
    body = []
    for line in lines:
        cells = []
        for at, (shown, by, said) in enumerate(line):
            tag = "th" if at == 0 else "td"
            scope = ' scope="row"' if at == 0 else ""
            sorts = "" if by is None else f' data-value="{by}"'
            title = f' title="{escape(said, quote=True)}"' if said else ""
            cells.append(f"<{tag}{scope}{sorts}{title}>{shown}</{tag}>")
        body.append(f"<tr>{''.join(cells)}</tr>")
    named = f'aria-label="{escape(caption)}"'
    return (
        f'<div class="leaderboard {kind}" role="region" tabindex="0" {named}>'
        f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _figure(picture: str, legend: str) -> str:
    return _html(
        f'<figure class="cost-picture">{picture}<figcaption>{legend}</figcaption></figure>'
    )


def _html(text: str) -> str:
    return f"```{{raw}} html\n{text}\n```"
