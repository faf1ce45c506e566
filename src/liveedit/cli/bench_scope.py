"""Results of the trials of scope as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def show_scope(trials: Mapping[str, Mapping[str, Any]]) -> None:
    """Print shares of right answers by suite and question."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(title="right answers, all corrections of a suite in force")
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
        table.add_row(name, f"{reached}, {trial['superseded']} superseded ({wanted} wanted)")
    console.print(table)
