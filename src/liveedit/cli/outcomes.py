"""What came of corrections, for people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from liveedit.data.importing import ImportReport
    from liveedit.methods.outcome import EditOutcome

_GRAVEST = ("contradicts", "repeats", "alike")
_SHOWN = 20  # conflicts


class Superseding(StrEnum):
    """Which earlier edits a correction puts out of force."""

    same = "same"
    alike = "alike"
    never = "never"


def show_import(report: ImportReport, *, preview: bool) -> None:
    """Conflicts, what was left out, and how many edits came of an import."""
    show_conflicts(report.added)
    for line in report.bad:
        print(f"left out: {line}")
    for at, one in report.refused:
        print(
            f"refused: line {at}: {one.edit.prompt} -> {one.edit.target}: the answer would be "
            f"{one.answer!r}"
        )
    left_out = len(report.bad) + len(report.refused)
    added = "would be added" if preview else "added"
    print(f"{len(report.added)} {added}, {report.known} known before, {left_out} left out")
    short = [one for one in report.added if not one.reached]
    kept = "" if preview else "kept, and "
    for one in short:
        print(f"{kept}not reached: {one.id}: {one.edit.prompt} -> {one.edit.target}")


def show_conflicts(outcomes: Sequence[EditOutcome]) -> None:
    """The gravest first, and not more than a screen of them."""
    found = [(made, one) for made in outcomes for one in made.conflicts]
    found.sort(key=lambda both: (_GRAVEST.index(both[1].kind), -both[1].similarity))
    for made, one in found[:_SHOWN]:
        what = "supersedes" if one.edit.id in made.edit.supersedes else one.kind
        print(
            f"{made.edit.prompt} -> {made.edit.target}: {what} {one.edit.id} "
            f"({one.edit.prompt} -> {one.edit.target})"
        )
    if len(found) > _SHOWN:
        print(f"... and {len(found) - _SHOWN} more; --json names all")


def outcome_json(made: EditOutcome) -> dict[str, object]:
    """An edit, whether its target is reached, and conflicts."""
    return {
        **made.edit.as_json(),
        "reached": made.reached,
        "answer": made.answer,
        "steps": made.steps,
        "conflicts": [
            {"id": one.edit.id, "kind": one.kind, "similarity": one.similarity}
            for one in made.conflicts
        ],
    }
