"""What is plotted of some runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from liveedit.benchmark.report.loading import Run
from liveedit.benchmark.report.panels import (
    Plate,
    experts_passed,
    over_age,
    over_edits,
    similarities,
)
from liveedit.benchmark.report.side_by_side import side_by_side


def plates_of(runs: Sequence[Run]) -> Iterator[Plate]:
    """All plates that have panels."""
    plates = [over_edits(runs), side_by_side(runs), over_age(runs)]
    for at, run in enumerate(runs, start=1):
        plates += [experts_passed(run, at), similarities(run, at)]
    yield from (plate for plate in plates if plate.panels)
