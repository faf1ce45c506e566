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
from liveedit.benchmark.report.side_by_side import compared, side_by_side


def plates_of(runs: Sequence[Run]) -> Iterator[Plate]:
    """All plates that have panels; with one N alone, runs side by side are no curves."""
    beside = [side_by_side(some, at) for at, some in enumerate(compared(runs), start=1)]
    one = beside and len({n for run in runs for n in run.summary.runs}) == 1
    plates = [*([] if one else [over_edits(runs)]), *beside, over_age(runs)]
    for at, run in enumerate(runs, start=1):
        plates += [experts_passed(run, at), similarities(run, at)]
    yield from (plate for plate in plates if plate.panels)
