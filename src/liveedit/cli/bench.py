"""``liveedit bench``: measure lifelong editing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from liveedit.cli.bench_cost import cost
from liveedit.cli.bench_data import (
    ANNOTATIONS,
    DATASET,
    IMAGES,
    LIMIT,
    PHOTOGRAPHS,
    SINGLE,
    STAND_INS,
    Dataset,
    Source,
    Split,
)
from liveedit.cli.bench_general import general
from liveedit.cli.bench_report import compare, report
from liveedit.cli.bench_scope import check_suites, run_drawn_suites, run_own_suites
from liveedit.cli.bench_switches import REFINE, SUPERSEDE, switch
from liveedit.cli.bench_tune import tune
from liveedit.cli.common import DEVICE, DTYPE, EDITOR, JSON, METHOD, MODEL, SETTINGS, Dtype, load

app = typer.Typer(help="Measure lifelong editing.", no_args_is_help=True)
app.command("general")(general)
app.command("report")(report)
app.command("compare")(compare)
app.command("tune")(tune)
app.command("cost")(cost)


@app.callback()
def _group() -> None:
    """Measure lifelong editing."""


@app.command()
def run(
    out: Path = typer.Option(..., "--out", help="Folder for summary.json and records-N.jsonl."),
    dataset: Dataset = DATASET,
    annotations: Path | None = ANNOTATIONS,
    images: Path | None = IMAGES,
    photographs: int = PHOTOGRAPHS,
    single: bool = SINGLE,
    stand_ins: Path | None = STAND_INS,
    method: str = METHOD,
    edits: str = typer.Option(
        "100", help="Edits in force while a group is tested (N), or several: 1,10,100,1000."
    ),
    limit: int | None = LIMIT,
    asked: int | None = typer.Option(
        None, min=1, help="Ask about the first so many alone, the oldest edits of a group."
    ),
    split: Split = typer.Option(
        Split.EVALUATION, help="Validation is for choosing settings; a file is taken whole."
    ),
    trials: list[str] = typer.Option(
        [],
        "--suite",
        help="Instead of the metrics, of emoji-edit: saved-anew, free-wordings, long-text, "
        "other-questions, look-alikes, contradictions, facts-of-a-picture, facts-of-a-subject, "
        "languages; of photo-edit: saved-anew, free-wordings, another-photograph, "
        "several-of-a-thing; of other datasets saved-anew; or all. Several are given one by one.",
    ),
    generate: bool = typer.Option(
        True, help="Generate answers, too; without, teacher forcing alone."
    ),
    retention: bool = typer.Option(
        False, help="Also the first 100 edits with 0, 100, 500 and 900 more after them."
    ),
    refine: bool = REFINE,
    supersede: bool = SUPERSEDE,
    settings: Path | None = SETTINGS,
    model: str = MODEL,
    device: str = DEVICE,
    dtype: Dtype = DTYPE,
    editor: Path | None = EDITOR,
    as_json: bool = JSON,
) -> None:
    """Run the lifelong protocol: groups of N edits, all probes after the last edit of a group.

    With --suite answers are generated for free wordings, look-alikes, pictures saved anew and the
    like, and written to scope.json in the same folder.
    A run that was killed goes on when it is started again. On several processes: accelerate launch
    --num_processes P -m liveedit bench run ...
    """
    sizes = _sizes(edits)
    source = Source(
        dataset=dataset, split=split, annotations=annotations, images=images,
        photographs=photographs, single=single, stand_ins=stand_ins, limit=limit,
    )  # fmt: skip
    drawn = dataset is Dataset.EMOJI_EDIT
    if trials:
        others = {"--no-generate": not generate, "--retention": retention, "--asked": asked} | (
            {"--annotations": annotations, "--images": images} if drawn else {}
        )
        for name, given in others.items():
            if given:
                raise typer.BadParameter("a suite has no use for it", param_hint=name)
        check_suites(trials, drawn=drawn)
    source.check()
    from liveedit.benchmark.retention import LATER
    from liveedit.benchmark.run import run_benchmark
    from liveedit.distributed import processes

    edited = load(model, editor, method=method, settings=settings, device=device, dtype=dtype)
    switch(edited, refine=refine, supersede=supersede)
    if trials and drawn:
        run_drawn_suites(edited, out, split.value, trials, limit, as_json)
        return
    suite, about, folder = source.suite(edited.backbone)
    if trials:
        told = {"dataset": suite.name, **about}
        run_own_suites(edited, out, suite, folder, sizes, trials, told, as_json)
        return
    summary = run_benchmark(
        edited,
        out,
        suite,
        edits=sizes,
        about=about,
        generate=generate,
        later=LATER if retention else (),
        asked=asked,
    )
    if not processes().is_main_process:
        return
    if as_json:
        print(json.dumps(summary))
    else:
        _show(summary, out)


def _sizes(edits: str) -> list[int]:
    try:
        sizes = [int(part) for part in edits.split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1:
        raise typer.BadParameter(
            f"{edits!r} is no list of positive numbers such as 1,10,100", param_hint="--edits"
        )
    return sizes


def _show(summary: dict[str, Any], out: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    what = f"{summary['dataset']}, {summary['method']}, {summary['corrections']} corrections"
    tables = {f"groups of {size}": run["metrics"] for size, run in summary["runs"].items()}
    for more, metrics in summary.get("retention", {}).items():
        tables[f"the first 100 edits, {more} more after them"] = metrics
    for title, metrics in tables.items():
        table = Table(title=f"{what}, {title}")
        for column in ("metric", "accuracy", "95% interval", "exact match", "before", "probes"):
            table.add_column(column, justify="left" if column == "metric" else "right")
        for name, row in metrics.items():
            low, high = row["interval"]
            table.add_row(
                name,
                f"{row['accuracy']:.1f}",
                f"{low:.1f} - {high:.1f}",
                *(
                    "" if row[key] is None else f"{row[key]:.1f}"
                    for key in ("exact_match", "before")
                ),
                str(row["n"]),
            )
        console.print(table)
    seconds = summary["seconds_before"] + summary.get("seconds_retention", 0)
    seconds += sum(run["seconds"] for run in summary["runs"].values())
    console.print(f"{seconds:.0f} s; records and summary in {out}")
