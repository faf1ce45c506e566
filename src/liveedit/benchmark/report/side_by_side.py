"""Several runs at the same N: a plot for each metric, with a line for each run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from liveedit.benchmark.report.labels import label, ordered
from liveedit.benchmark.report.loading import Figures, Run
from liveedit.benchmark.report.panels import COLOURS, RUN_COLOURS, Panel, Plate

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase

_FEWEST = 3  # runs; of fewer the curves tell as much
_Row = tuple[str, str, Figures]  # name and colour of a run


def side_by_side(runs: Sequence[Run]) -> Plate:
    """Accuracy of the runs with its interval, and exact match; no panel for fewer than three runs.

    They are shown at the N that most of them have, the largest of several.
    """
    counts = Counter(n for run in runs for n in run.summary.runs)
    shared = max(counts, key=lambda n: (counts[n], n))
    there = [
        (run.name, COLOURS[RUN_COLOURS[at % len(RUN_COLOURS)]], run.summary.runs[shared].metrics)
        for at, run in enumerate(runs)
        if shared in run.summary.runs
    ]
    metrics = ordered(sorted({metric for _, _, figures in there for metric in figures}))
    rows = {
        metric: [(name, colour, one[metric]) for name, colour, one in there if metric in one]
        for metric in metrics
    }
    return Plate(
        name="side-by-side",
        panels=tuple(
            Panel(
                name=f"side-by-side-{re.sub('[^a-z0-9]', '-', metric)}-{at}",
                alt=f"{label(metric)} with {shared:,} edits in force. "
                + " ".join(f"{name}: {one.accuracy:.1f}%." for name, _, one in some),
                size=(3.1, 0.6 + 0.19 * len(some)),
                draw=_dots(f"{label(metric)}, N = {shared:,}", some),
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
