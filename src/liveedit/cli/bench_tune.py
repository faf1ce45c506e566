"""``liveedit bench tune``: choose a method's settings on validation corrections."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

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
from liveedit.cli.common import DEVICE, DTYPE, EDITOR, JSON, METHOD, MODEL, Dtype, load

if TYPE_CHECKING:
    from liveedit.benchmark.tuning.trial_log import Trial
    from liveedit.benchmark.tuning.tune import Tuned


def tune(
    out: Path = typer.Option(..., "--out", help="Folder for trials.jsonl and chosen.json."),
    method: str = METHOD,
    trials: int = typer.Option(
        12, min=1, help="So many in all, the defaults first; give every method the same number."
    ),
    dataset: Dataset = DATASET,
    annotations: Path | None = ANNOTATIONS,
    images: Path | None = IMAGES,
    photographs: int = PHOTOGRAPHS,
    single: bool = SINGLE,
    stand_ins: Path | None = STAND_INS,
    edits: int = typer.Option(100, min=1, help="Edits in force while a group is tested (N)."),
    limit: int | None = LIMIT,
    split: Split = typer.Option(Split.VALIDATION, help="Validation alone is taken."),
    seed: int = typer.Option(0, help="Of what is proposed."),
    model: str = MODEL,
    device: str = DEVICE,
    dtype: Dtype = DTYPE,
    editor: Path | None = EDITOR,
    as_json: bool = JSON,
) -> None:
    """Try settings of a method, and choose those with the best mean exact match.

    The mean is of Rel, T-Gen, M-Gen, M-Loc, RI and CI, on validation corrections. What is tried is
    in the method's `search_space`. A trial that fails counts as 0, and its reason is in the log.
    A tuning that was killed goes on when it is started again; more --trials go on, too.
    Use what was chosen with: liveedit bench run --method M --settings OUT/chosen.json
    """
    source = Source(
        dataset=dataset, split=split, annotations=annotations, images=images,
        photographs=photographs, single=single, stand_ins=stand_ins, limit=limit,
    )  # fmt: skip
    source.check_validation()
    source.check()
    from liveedit.benchmark.tuning.space import require_optuna
    from liveedit.benchmark.tuning.trial_log import read_trials
    from liveedit.benchmark.tuning.tune import LOG_FILE
    from liveedit.benchmark.tuning.tune import tune as try_settings
    from liveedit.methods.base import Method
    from liveedit.methods.chosen_settings import settings_of

    require_optuna()
    made = load(model, editor, method=method, device=device, dtype=dtype).method

    def remake(settings: dict[str, Any]) -> Method:
        return type(made).load(made.backbone, editor, settings_of(type(made), settings))

    suite, about, _ = source.suite(made.backbone)
    tuned = try_settings(
        made, remake, out, suite, trials=trials, edits=edits, seed=seed, about=about
    )
    log = read_trials(out / LOG_FILE)
    if as_json:
        print(json.dumps({**asdict(tuned), "log": [asdict(trial) for trial in log]}))
    else:
        _show(tuned, log, out)


def _show(tuned: Tuned, log: list[Trial], out: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(title=f"{tuned.method}: mean exact match, %")
    for column in ("trial", "score", *tuned.settings, "seconds"):
        table.add_column(column, justify="right")
    for trial in log:
        table.add_row(
            str(trial.trial),
            "failed" if trial.failed else f"{trial.score:.2f}",
            *(str(value) for value in trial.settings.values()),
            f"{trial.seconds:.0f}",
            style="bold" if trial.trial == tuned.trial else "",
        )
    console.print(table)
    for trial in log:
        if trial.failed:
            console.print(f"trial {trial.trial} failed: {trial.failed}", markup=False)
    console.print("Trial 1 is the defaults.")
    if tuned.trials == tuned.of:
        console.print(f"These are all {tuned.of} settings of its space.")
    console.print(f"chosen: {out / 'chosen.json'}", soft_wrap=True)
