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
_LONGEST = 24  # characters of a name beside a plot
_Row = tuple[str, str, Figures]  # name and colour of a run


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Runs on one dataset with the same number of edits in force.

    Args:
        dataset: Which.
        edits: How many.
        metrics: What any of them measured, in order.
        rows: Of each run its name, its colour (a CSS variable) and its figures.
    """

    dataset: str
    edits: int
    metrics: Sequence[str]
    rows: Sequence[tuple[str, str, Mapping[str, Figures]]]

    def best(self, metric: str) -> float:
        """The highest accuracy."""
        return max(one[metric].accuracy for *_, one in self.rows if metric in one)


def compared(runs: Sequence[Run]) -> list[Compared]:
    """Three runs and more of each dataset, at the N that most of them have, the largest of several.

    Args:
        runs: All runs of a page.
    """
    found = []
    for dataset in dict.fromkeys(run.summary.dataset for run in runs):
        own = [(at, run) for at, run in enumerate(runs) if run.summary.dataset == dataset]
        counts = Counter(n for _, run in own for n in run.summary.runs)
        shared = max(counts, key=lambda n: (counts[n], n))
        if counts[shared] < _FEWEST:
            continue
        rows = [
            (run.name, RUN_COLOURS[at % len(RUN_COLOURS)], run.summary.runs[shared].metrics)
            for at, run in own
            if shared in run.summary.runs
        ]
        metrics = ordered(sorted({metric for *_, figures in rows for metric in figures}))
        found.append(Compared(dataset=dataset, edits=shared, metrics=metrics, rows=rows))
    return found


def side_by_side(some: Compared, at: int) -> Plate:
    """Accuracy with its interval, and exact match; ``at`` is their place on the page."""
    rows: dict[str, list[_Row]] = {
        metric: [
            (name, COLOURS[colour], figures[metric])
            for name, colour, figures in some.rows
            if metric in figures
        ]
        for metric in some.metrics
    }
    return Plate(
        name=f"side-by-side-{at}",
        panels=tuple(
            Panel(
                name=f"side-by-side-{at}-{re.sub('[^a-z0-9]', '-', metric)}-{place}",
                alt=f"{label(metric)} on {some.dataset} with {some.edits:,} edits in force. "
                + " ".join(f"{name}: {one.accuracy:.1f}%." for name, _, one in those),
                size=(3.1, 0.6 + 0.19 * len(those)),
                draw=_dots(f"{label(metric)}, N = {some.edits:,}", those),
            )
            for place, (metric, those) in enumerate(rows.items())
            if len(those) >= _FEWEST
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
        axes.set_yticks(range(len(rows)), [_short(name) for name, *_ in rows])
        axes.tick_params(axis="y", colors=COLOURS["ink"])
        axes.set(title=title, xlim=(0, 100), ylim=(len(rows) - 0.5, -0.5))
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")

    return draw


def _short(name: str) -> str:
    """The end of a name, which tells folders apart."""
    return name if len(name) <= _LONGEST else f"…{name[1 - _LONGEST :]}"
