"""``liveedit bench run --suite``: trials of scope, and their results as a table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

if TYPE_CHECKING:
    from liveedit.benchmark.suite import Suite
    from liveedit.data.photo_edit.folder import PhotoFolder
    from liveedit.editor import EditedModel


def check_suites(names: Sequence[str], *, drawn: bool) -> None:
    """Refuse names of suites that there are not, before a model is loaded.

    Raises:
        BadParameter: There is no such suite.
    """
    from liveedit.benchmark.scope.own_pictures import OWN_TRIALS
    from liveedit.benchmark.scope.suites import TRIALS

    _chosen(names, tuple(TRIALS) if drawn else OWN_TRIALS)


def run_drawn_suites(
    edited: EditedModel,
    out: Path,
    split: Literal["evaluation", "validation"],
    names: Sequence[str],
    limit: int | None,
    as_json: bool,
) -> None:
    """Run suites of emoji-edit."""
    from liveedit.benchmark.scope.suites import TRIALS, run_scope

    chosen = _chosen(names, tuple(TRIALS))
    _told(run_scope(edited, out, split, chosen, limit), chosen, as_json)


def run_own_suites(
    edited: EditedModel,
    out: Path,
    suite: Suite,
    folder: PhotoFolder | None,
    sizes: Sequence[int],
    names: Sequence[str],
    about: Mapping[str, Any],
    as_json: bool,
) -> None:
    """Run suites on the pictures of a dataset, in groups of N edits."""
    from liveedit.benchmark.scope.own_pictures import own_trials
    from liveedit.benchmark.scope.suites import run_trials
    from liveedit.data.views import digest

    if len(sizes) > 1:
        raise typer.BadParameter("a suite takes one number", param_hint="--edits")
    trials = own_trials(suite.pictured, folder, sizes[0])
    chosen = _chosen(names, tuple(trials))
    told = {name: value for name, value in about.items() if name != "look_alikes"}
    told |= {"edits": sizes[0], "corrections": digest(suite.pictured)}
    found = run_trials(edited, out, {name: trials[name] for name in chosen}, told)
    _told(found, chosen, as_json)


def _chosen(names: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        if name not in (*known, "all"):
            there = ", ".join((*known, "all"))
            raise typer.BadParameter(f"there is no {name}; there are {there}", param_hint="--suite")
    return tuple(known) if "all" in names else tuple(dict.fromkeys(names))


def _told(found: Mapping[str, Any], chosen: Sequence[str], as_json: bool) -> None:
    if as_json:
        print(json.dumps(found))
    else:
        show_scope({name: found[name] for name in chosen})


def show_scope(trials: Mapping[str, Mapping[str, Any]]) -> None:
    """Print shares of right answers by suite and question."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(title="right answers")
    for column in ("suite", "question", "right, %", "95% interval", "n"):
        table.add_column(column, justify="left" if column in ("suite", "question") else "right")
    for name, trial in trials.items():
        table.add_section()
        for label, row in trial["questions"].items():
            low, high = row["interval"]
            right, wrong = f"{row['right']:.1f}", row.get("answered_with_a_correction")
            if wrong is not None:
                label += f" (answered with a correction: {wrong:.1f})"
            table.add_row(name, label, right, f"{low:.1f} - {high:.1f}", str(row["n"]))
        reached = f"{trial['reached']} of {trial['corrections']} reached"
        wanted = trial["superseded_wanted"]
        together = f"{trial['together']} in force at a time"
        superseded = f"{trial['superseded']} superseded ({wanted} wanted)"
        table.add_row(name, f"{reached}, {superseded}, {together}")
    console.print(table)
