"""What people do, on the leaderboard: trials of ``liveedit bench run --suite``, by method."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaderboard_rows import Named, named_by
from leaderboard_table import Cell, named, number, raw_html, table

Asked = Mapping[str, Any]  # right, interval, n

COLUMNS: Mapping[str, tuple[str, str | None]] = {  # the trial, and what is asked; None: the worst
    "saved anew, worst": ("saved-anew", None),
    "free wordings": ("free-wordings", "free wording"),
    "long text": ("long-text", "after 2,000 characters"),
    "look-alikes": ("look-alikes", "in other words"),
    "look-alikes, saved anew": ("look-alikes", "saved anew"),
    "facts of a picture": ("facts-of-a-picture", "rephrased"),
    "another photograph": ("another-photograph", "another photograph"),
    "contradicted, earlier": ("contradictions", "first question"),
    "other questions": ("other-questions", "about a corrected picture"),
}


@dataclass(frozen=True, kw_only=True)
class ScopeRow(Named):
    """A method's trials.

    Args:
        about: What they are of: its method, settings and model.
        asked: By column; what was not run is missing.
    """

    about: Mapping[str, Any]
    asked: Mapping[str, tuple[str, Asked]]

    @property
    def limit(self) -> int | None:
        """Of how many corrections of each trial it is; all if None."""
        limit: int | None = self.about.get("limit")
        return limit

    @property
    def mean(self) -> float:
        """Of what was asked."""
        return sum(asked["right"] for _, asked in self.asked.values()) / len(self.asked)


def scope_rows(dataset: Path) -> list[ScopeRow]:
    """All methods whose trials are there, those that were asked most first.

    Args:
        dataset: A folder of folders with ``scope.json``.
    """
    found = []
    for path in sorted(dataset.glob("*/scope.json")):
        known = json.loads(path.read_text(encoding="utf-8"))
        asked = {
            column: figure
            for column, place in COLUMNS.items()
            if (figure := _asked(known["trials"], *place)) is not None
        }
        if asked:
            about = known["about"]
            called = named_by(path, dataset.parent, about["method"])
            found.append(ScopeRow(**called, about=about, asked=asked))
    return sorted(found, key=lambda row: (-len(row.asked), -row.mean))


def _asked(trials: Mapping[str, Any], trial: str, question: str | None) -> tuple[str, Asked] | None:
    """What it is called, and its figures."""
    questions: Mapping[str, Asked] = trials.get(trial, {}).get("questions", {})
    if not questions or (question is not None and question not in questions):
        return None
    name = question or min(questions, key=lambda one: questions[one]["right"])
    return name, questions[name]


def scope_of(dataset: Path) -> str | None:
    """A table in HTML; nothing if no method was asked."""
    rows = scope_rows(dataset)
    if not rows:
        return None
    columns = [column for column in COLUMNS if any(column in row.asked for row in rows)]
    lines = [
        [
            named(row, row.about["backbone"], _limit(row)),
            *(_cell(row, column) for column in columns),
        ]
        for row in rows
    ]
    return raw_html(
        table("Generated answers that are right, in per cent", ["method", *columns], lines)
    )


def _limit(row: ScopeRow) -> str:
    return f"{row.limit} corrections of each" if row.limit else ""


def _cell(row: ScopeRow, column: str) -> Cell:
    if column not in row.asked:
        return number(None, 1)
    name, asked = row.asked[column]
    low, high = asked["interval"]
    said = f"{name}; 95%: {low:.1f} to {high:.1f}; {asked['n']} questions"
    return number(asked["right"], 1, said)
