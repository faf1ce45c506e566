"""Several runs at the same N: a table, and a plot for each metric with a line for each run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from liveedit.benchmark.report.labels import label, ordered
from liveedit.benchmark.report.loading import Figures, Run
from liveedit.benchmark.report.panels import COLOURS, RUN_COLOURS, Panel, Plate

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase

_FEWEST = 3  # runs; of fewer the curves tell as much
_Row = tuple[str, str, Figures]  # name and colour of a run


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Runs with the same number of edits in force.

    Args:
        edits: How many.
        metrics: What any of them measured, in order.
        rows: Of each run its name, its colour (a CSS variable) and its figures.
    """

    edits: int
    metrics: Sequence[str]
    rows: Sequence[tuple[str, str, Mapping[str, Figures]]]

    def best(self, metric: str) -> float:
        """The highest accuracy."""
        return max(one[metric].accuracy for *_, one in self.rows if metric in one)


def compared(runs: Sequence[Run]) -> Compared | None:
    """Runs at the N that most of them have, the largest of several; None for fewer than three."""
    counts = Counter(n for run in runs for n in run.summary.runs)
    shared = max(counts, key=lambda n: (counts[n], n))
    if counts[shared] < _FEWEST:
        return None
    rows = [
        (run.name, RUN_COLOURS[at % len(RUN_COLOURS)], run.summary.runs[shared].metrics)
        for at, run in enumerate(runs)
        if shared in run.summary.runs
    ]
    metrics = ordered(sorted({metric for *_, figures in rows for metric in figures}))
    return Compared(edits=shared, metrics=metrics, rows=rows)


def side_by_side(runs: Sequence[Run]) -> Plate:
    """Accuracy of the runs with its interval, and exact match; no panel for fewer than three."""
    found = compared(runs)
    if found is None:
        return Plate(name="side-by-side", panels=(), columns=3)
    rows: dict[str, list[_Row]] = {
        metric: [
            (name, COLOURS[colour], figures[metric])
            for name, colour, figures in found.rows
            if metric in figures
        ]
        for metric in found.metrics
    }
    return Plate(
        name="side-by-side",
        panels=tuple(
            Panel(
                name=f"side-by-side-{re.sub('[^a-z0-9]', '-', metric)}-{at}",
                alt=f"{label(metric)} with {found.edits:,} edits in force. "
                + " ".join(f"{name}: {one.accuracy:.1f}%." for name, _, one in some),
                size=(3.1, 0.6 + 0.19 * len(some)),
                draw=_dots(f"{label(metric)}, N = {found.edits:,}", some),
            )
            for at, (metric, some) in enumerate(rows.items())
            if len(some) >= _FEWEST
        ),
        columns=3,
    )


def _dots(title: str, rows: Sequence[_Row]) -> Callable[[FigureBase], None]:
    def draw(figure: FigureBase) -> None:
        axes = figure.subplots()
        for place, (_, colour, one) in enumerate(rows):
            axes.plot(one.interval, [place, place], color=colour, linewidth=3.0, alpha=0.35)
            axes.plot([one.accuracy], [place], "o", color=colour, markersize=4.4, clip_on=False)
            if one.exact_match is not None:
                axes.plot(
                    [one.exact_match], [place], "|", color=colour, markersize=8, clip_on=False,
                    markeredgewidth=1.4,
                )  # fmt: skip
        axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
        axes.tick_params(axis="y", colors=COLOURS["ink"])
        axes.set(title=title, xlim=(0, 100), ylim=(len(rows) - 0.5, -0.5))
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")

    return draw
