"""``liveedit bench general``: what many edits leave of the model's other skills."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import typer

from liveedit.cli.bench_switches import REFINE, SUPERSEDE, switch
from liveedit.cli.common import DEVICE, DTYPE, EDITOR, JSON, METHOD, MODEL, SETTINGS, Dtype, load

GENERAL_FILE = "general.json"


def general(
    out: Path = typer.Option(..., "--out", help=f"Folder for {GENERAL_FILE}; a run's, for one."),
    edits: int = typer.Option(1000, min=1, help="Edits in force, and a tenth text-only ones."),
    limit: int | None = typer.Option(
        None, min=1, help="Only so many questions of each kind, drawn evenly."
    ),
    tasks: str | None = typer.Option(
        None, help="Tasks of lmms-eval to measure, too, such as vqav2_val,mme,pope."
    ),
    lmms_python: Path | None = typer.Option(
        None, help="Python of an environment where lmms-eval is installed; for --tasks."
    ),
    lmms_include: Path | None = typer.Option(None, help="Folder of further task definitions."),
    method: str = METHOD,
    refine: bool = REFINE,
    supersede: bool = SUPERSEDE,
    settings: Path | None = SETTINGS,
    model: str = MODEL,
    device: str = DEVICE,
    dtype: Dtype = DTYPE,
    editor: Path | None = EDITOR,
    as_json: bool = JSON,
) -> None:
    """Ask easy-VQA's test questions and 100 text-only prompts before and after many edits.

    The edits are emoji-edit's first evaluation corrections. What no edit concerns is answered as
    before, bit for bit; this measures how often that is so.

    lmms-eval downloads the data of its tasks itself.
    """
    if (tasks is None) != (lmms_python is None):
        raise typer.BadParameter("--tasks and --lmms-python go together", param_hint="--tasks")
    edited = load(model, editor, method=method, settings=settings, device=device, dtype=dtype)
    switch(edited, refine=refine, supersede=supersede)
    from liveedit.benchmark.general_ability import measure_general
    from liveedit.benchmark.lmms.bridge import run_tasks
    from liveedit.benchmark.skills import built_in_skills
    from liveedit.benchmark.suite import emoji_suite

    measure = None
    if tasks is not None and lmms_python is not None:
        measure = partial(
            run_tasks,
            python=lmms_python,
            tasks=tasks.split(","),
            include=lmms_include,
            limit=limit,
        )
    found = measure_general(
        edited, emoji_suite(), built_in_skills(limit), edits=edits, tasks=measure
    )
    out.mkdir(parents=True, exist_ok=True)
    (out / GENERAL_FILE).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if as_json:
        print(json.dumps(found))
    else:
        _show(found, out)


def _show(found: dict[str, Any], out: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{found['edits']} edits in force, and {found['texts']} text-only ones")
    for column in ("skill", "before", "after", "answers unchanged", "questions"):
        table.add_column(column, justify="left" if column == "skill" else "right")
    for name, same in found["unchanged"].items():
        cells = (found[when].get(name) for when in ("before", "after"))
        table.add_row(
            name,
            *(_percent(cell) if cell else "" for cell in cells),
            _percent(same),
            str(same["n"]),
        )
    console = Console()
    console.print(table)
    for task, before in found.get("tasks_before", {}).items():
        for name, value in before.items():
            console.print(f"{task}, {name}: {value}, after {found['tasks_after'][task][name]}")
    console.print(f"in {out / GENERAL_FILE}")


def _percent(figure: dict[str, Any]) -> str:
    low, high = figure["interval"]
    return f"{figure['percent']:.1f} ({low:.1f} - {high:.1f})"
