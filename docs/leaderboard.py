"""The leaderboard: tables and a picture of results/*/*/summary.json, made with the site."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, TypeAlias

from leaderboard_curves import curves_of
from leaderboard_picture import picture_of
from leaderboard_rows import Row, rows_of

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
        _number(row.asked, 0),
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
