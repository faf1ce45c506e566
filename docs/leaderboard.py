"""The leaderboard: tables and a picture of results/*/*/summary.json, made with the site."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from leaderboard_curves import curves_of
from leaderboard_picture import picture_of
from leaderboard_rows import PICTURES, WORDS, Row, rows_of
from leaderboard_scope import scope_of
from leaderboard_table import Cell, named, number, raw_html, table

from liveedit.benchmark.metrics import OBJECTIVE
from liveedit.benchmark.published.paper import FIVE, published
from liveedit.benchmark.report.labels import label

PLACE = "<!-- leaderboard -->"
PLACE_OF_QUOTED = "<!-- quoted -->"
_LEGEND = "The larger a dot, the more is stored of an edit."
_LEGEND_OF_CURVES = "Methods that were run with several numbers of edits on the same model."
_FURTHER = ("t_loc", "ni")  # not in the mean
_COSTS = ("trained, min", "s / edit", "kB / edit", "prefill", "decode", "revoke, s")
_GENERAL = ("easy-VQA", "text, same")
_MEASURES = {"exact_match": "Exact match", "accuracy": "Teacher-forced token accuracy"}


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
                    parts.append(raw_html(table_of(some, measure, title)))
            dots: dict[str, Row] = {}
            for row in some:  # of rows with one name the best whose cost is known
                if row.drawn and row.cost.get("seconds_per_edit"):
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
        scope = scope_of(results / dataset)
        if scope:
            parts.append(f"### {dataset}, asked from more sides")
            parts.append(scope)
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
    """A table that can be sorted: quality, what it costs, and what is left of other skills."""
    more = measure == "exact_match"  # once is enough
    general = more and any(row.general for row in rows)
    lines = [
        [
            named(row, row.summary["backbone"], row.summary["dtype"]),
            number(row.asked, 0),
            number(row.mean(measure), 1),
            *(_quality(row, metric, measure) for metric in OBJECTIVE),
            *(_costs(row) if more else ()),
            *(_general(row.general) if general else ()),
            *(_quality(row, metric, measure) for metric in _FURTHER),
        ]
        for row in rows
    ]
    further = (*(_COSTS if more else ()), *(_GENERAL if general else ()), *map(label, _FURTHER))
    columns = ["method", "asked", "mean", *map(label, OBJECTIVE), *further]
    return table(f"{title}, in per cent", columns, lines)


def _quality(row: Row, metric: str, measure: str) -> Cell:
    figures = row.figures.get(metric)
    if figures is None:
        return number(None, 1)
    interval = figures.get({"accuracy": "interval", "exact_match": "exact_interval"}[measure])
    said = "95%: {:.1f} to {:.1f}".format(*interval) if interval else ""
    return number(figures[measure], 1, said)


def _costs(row: Row) -> list[Cell]:
    cost = row.cost
    where = f"{cost['device']}, {cost['threads']} threads" if "device" in cost else ""
    revoke = cost.get("revoke") or {}
    later = max(revoke, key=int, default=None)
    size = cost.get("bytes_per_edit")
    return [
        number(row.trained.get("minutes"), 0, row.trained.get("what", "")),
        number(cost.get("seconds_per_edit"), 3, where),
        number(size if size is None else size / 1e3, 1),
        number(cost.get("prefill", {}).get("ratio"), 2, where),
        number(cost.get("decode", {}).get("ratio"), 2, where),
        number(revoke.get(later), 3, f"{later} edits were made after it" if later else ""),
    ]


def _general(general: dict[str, Any]) -> list[Cell]:
    before, after = (general.get(when, {}).get(PICTURES) for when in ("before", "after"))
    words = general.get("unchanged", {}).get(WORDS)
    return [
        number(
            after and after["percent"], 1,
            "" if not after or not before else f"{before['percent']:.1f} before; {_spread(after)}",
        ),
        number(words and words["percent"], 1, _spread(words) if words else ""),
    ]  # fmt: skip


def _spread(figure: dict[str, Any]) -> str:
    low, high = figure["interval"]
    return f"95%: {low:.1f} to {high:.1f}; {figure['n']} questions"


def quoted() -> str:
    """What papers say of their own runs, apart."""
    lines: list[list[Cell]] = []
    for row in published():
        if row.table != 1:
            continue
        names = [(escape(text), None, "") for text in (row.method, row.dataset, row.backbone)]
        numbers = [number(row.metrics[metric], 2) for metric in FIVE]
        lines.append([*names, number(row.edits, 0), *numbers, number(row.average, 2)])
    columns = ["method", "dataset", "backbone", "N", *map(label, FIVE), "average"]
    return raw_html(table("Quoted, not measured here", columns, lines, kind="quoted"))


def _figure(picture: str, legend: str) -> str:
    return raw_html(
        f'<figure class="cost-picture">{picture}<figcaption>{legend}</figcaption></figure>'
    )
