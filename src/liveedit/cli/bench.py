"""``liveedit bench``: measure lifelong editing."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Any

import typer

from liveedit.cli.common import EDITOR, JSON, MODEL, load

app = typer.Typer(help="Measure lifelong editing.", no_args_is_help=True)


class Dataset(StrEnum):
    """Datasets that can be run."""

    EMOJI_EDIT = "emoji-edit"


class Method(StrEnum):
    """Methods that can be run."""

    LIVEEDIT = "liveedit"


class Split(StrEnum):
    """Which fixed set of corrections."""

    EVALUATION = "evaluation"
    VALIDATION = "validation"


@app.callback()
def _group() -> None:
    """Measure lifelong editing."""


@app.command()
def run(
    out: Path = typer.Option(..., "--out", help="Folder for summary.json and records.jsonl."),
    dataset: Dataset = typer.Option(Dataset.EMOJI_EDIT, help="What to run on."),
    method: Method = typer.Option(Method.LIVEEDIT, help="What to run."),
    edits: int = typer.Option(100, min=1, help="Edits in force while a group is tested (N)."),
    limit: int | None = typer.Option(None, min=1, help="Only the first corrections of the set."),
    split: Split = typer.Option(Split.EVALUATION, help="Validation is for choosing settings."),
    model: str = MODEL,
    editor: Path | None = EDITOR,
    as_json: bool = JSON,
) -> None:
    """Run the lifelong protocol: groups of N edits, all probes after the last edit of a group."""
    edited = load(model, editor)
    from liveedit.benchmark.run import run_benchmark

    summary = run_benchmark(edited, out, edits=edits, limit=limit, split=split.value)
    if as_json:
        print(json.dumps(summary))
    else:
        _show(summary, out)


def _show(summary: dict[str, Any], out: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=f"{summary['dataset']}, {summary['method']}, {summary['corrections']} corrections "
        f"in groups of {summary['edits']}"
    )
    for column in ("metric", "accuracy", "95% interval", "exact match", "before", "probes"):
        table.add_column(column, justify="left" if column == "metric" else "right")
    for name, row in summary["metrics"].items():
        low, high = row["interval"]
        table.add_row(
            name,
            f"{row['accuracy']:.1f}",
            f"{low:.1f} - {high:.1f}",
            f"{row['exact_match']:.1f}",
            f"{row['before']:.1f}",
            str(row["n"]),
        )
    console = Console()
    console.print(table)
    console.print(f"{summary['seconds']:.0f} s; records and summary in {out}")
