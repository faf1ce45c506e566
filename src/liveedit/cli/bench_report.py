"""``liveedit bench report`` and ``liveedit bench compare``: read what runs left behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from liveedit.cli.common import JSON

if TYPE_CHECKING:
    from liveedit.benchmark.report.comparing import Comparison

_NAMED = 5  # corrections of one kind that are named; --json has them all


def report(
    folders: list[Path] = typer.Argument(
        metavar="DIR...", help="What `liveedit bench run --out` wrote, one folder or more."
    ),
    out: Path = typer.Option(
        Path("liveedit-report.html"),
        help="Where the page goes, NAME.html or a folder; the other files go beside it.",
    ),
    failures: int = typer.Option(3, min=0, help="How many failures of each metric are shown."),
    summary_only: bool = typer.Option(
        False, help="Do without records: figures and curves, no routing, no failures."
    ),
    as_json: bool = JSON,
) -> None:
    """Write one HTML page on some runs, and beside it CSV, LaTeX, and plots as PNG and SVG."""
    from liveedit.benchmark.report.loading import load_runs
    from liveedit.benchmark.report.writing import write_report
    from liveedit.benchmark.suite import suite_of

    if out.is_file() and out.suffix.lower() not in (".html", ".htm"):
        raise typer.BadParameter(f"{out} is a file and no .html", param_hint="--out")
    runs = load_runs(folders, records=not summary_only)
    written = write_report(runs, out, suites=suite_of, shown=failures)
    if as_json:
        summary = {
            "page": str(written.page),
            "csv": str(written.csv),
            "latex": str(written.latex),
            "plots": [str(path) for path in written.plots],
            "runs": [
                {
                    "name": run.name,
                    "folder": str(run.folder),
                    "failures": {some.metric: some.by_n for some in failed},
                }
                for run, failed in zip(runs, written.failures, strict=True)
            ],
        }
        print(json.dumps(summary))
        return
    print(f"page: {written.page}")
    print(f"CSV, LaTeX and {len(written.plots)} plots: {written.csv.parent}")
    for run, failed in zip(runs, written.failures, strict=True):
        if run.probes:
            probes = sum(map(len, run.probes.values()))
            print(f"{run.name}: {sum(some.total for some in failed):,} of {probes:,} probes fail")


def compare(
    a: Path = typer.Argument(metavar="A", help="Folder of a run."),
    b: Path = typer.Argument(metavar="B", help="Folder of another run on the same data."),
    exact: bool = typer.Option(
        False, "--exact", help="Compare exact match of generated answers, not token accuracy."
    ),
    as_json: bool = JSON,
) -> None:
    """Say where two runs differ significantly, paired by N, correction and metric."""
    from liveedit.benchmark.report.comparing import compare as compare_runs
    from liveedit.benchmark.report.loading import load_runs

    one, other = load_runs([a, b])
    comparison = compare_runs(one, other, measure="exact_match" if exact else "accuracy")
    if as_json:
        found = asdict(comparison)
        for row, difference in zip(found["rows"], comparison.rows, strict=True):
            row["significant"] = difference.significant
        print(json.dumps({**found, "words": comparison.words}, ensure_ascii=False))
    else:
        _show(comparison)


def _show(comparison: Comparison) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from liveedit.benchmark.report.comparing import p_text
    from liveedit.benchmark.report.labels import label

    console = Console()
    a, b = escape(comparison.a), escape(comparison.b)
    what = {"accuracy": "token accuracy", "exact_match": "exact match"}[comparison.measure]
    table = Table(
        title=f"{a} (A) and {b} (B): {what} in %",
        caption="p: after Holm's correction. only A/B: probes that one run alone gets right.",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    for column in ("N", "metric", "A", "B", "B - A", "95%", "p", "only A/B", "pairs"):
        table.add_column(column, justify="left" if column == "metric" else "right", no_wrap=True)
    for row in comparison.rows:
        table.add_row(
            f"{row.n:,}",
            label(row.metric),
            f"{row.mean_a:.1f}",
            f"{row.mean_b:.1f}",
            f"{row.difference:+.1f}",
            f"{row.low:+.1f} to {row.high:+.1f}",
            p_text(row.p_holm).removeprefix("p ").removeprefix("= "),
            f"{row.only_a}/{row.only_b}",
            f"{row.pairs:,}",
            style="bold" if row.significant else "",
        )
    console.print(table)
    for sentence in (*comparison.words, *comparison.cautions):
        console.print(escape(sentence), highlight=False, soft_wrap=True)
    for sentence in _unpaired(comparison):
        console.print(escape(sentence), highlight=False, soft_wrap=True)


def _unpaired(comparison: Comparison) -> Iterator[str]:
    """What one run alone has: an N that it alone has is named once."""
    from liveedit.benchmark.report.labels import label

    names = {"a": comparison.a, "b": comparison.b}
    shared = {row.n for row in comparison.rows}
    for key, name in names.items():
        alone = {some.n for some in comparison.unpaired if some.run == key} - shared
        if alone:
            yield f"Only in {name}: N = {', '.join(f'{n:,}' for n in sorted(alone))}."
    for some in comparison.unpaired:
        if some.n in shared:
            named = ", ".join(map(str, some.cases[:_NAMED]))
            more = f" and {len(some.cases) - _NAMED:,} more" if len(some.cases) > _NAMED else ""
            yield (
                f"Only in {names[some.run]}, N = {some.n:,}, {label(some.metric)}: "
                f"{len(some.cases):,} (correction {named}{more})."
            )
