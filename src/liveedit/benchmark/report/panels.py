"""The plots: each a panel that is drawn alone on the page, and beside its like in a file."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from liveedit.benchmark.report import routing
from liveedit.benchmark.report.labels import label, ordered
from liveedit.benchmark.report.loading import Figures, Run
from liveedit.errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, FigureBase

# on the page each is a CSS variable of this name, so that a plot is light or dark as the page is
COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "ink": "#23211d",
        "soft": "#625d53",
        "line": "#e2ddd2",
        "run-1": "#1d6147",
        "run-2": "#c2410c",
        "run-3": "#1d4ed8",
        "run-4": "#9d174d",
        "run-5": "#a16207",
        "run-6": "#0e7490",
        "few-0": "#dcd7cb",
        "few-1": "#b5d3c3",
        "few-2": "#7fb097",
        "few-3": "#46866b",
        "few-4": "#174f3b",
        "wanted": "#1d6148",
        "unwanted": "#c2410d",
    }
)
RUN_COLOURS = tuple(name for name in COLOURS if name.startswith("run-"))
_LINES, _MARKERS = ("-", "--", "-.", ":"), "osD^vP"
_BINS = 48
_BESIDE = 5  # runs in one line of a legend
_STYLE = {
    "font.family": "sans-serif",
    "font.size": 8.5,
    "axes.edgecolor": COLOURS["soft"],
    "axes.labelcolor": COLOURS["soft"],
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlecolor": COLOURS["ink"],
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.axisbelow": True,
    "grid.color": COLOURS["line"],
    "grid.linewidth": 0.6,
    "text.color": COLOURS["ink"],
    "xtick.color": COLOURS["soft"],
    "ytick.color": COLOURS["soft"],
    "xtick.major.size": 2.5,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "svg.hashsalt": "liveedit",
    "text.parse_math": False,
}


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One plot.

    Args:
        name: Letters, digits and hyphens; no two on a page share one.
        alt: What it shows, for those who do not see it.
        size: Inches, wide and high.
        draw: Draws it.
    """

    name: str
    alt: str
    size: tuple[float, float]
    draw: Callable[[FigureBase], None]


@dataclass(frozen=True, kw_only=True)
class Plate:
    """Panels that belong together: one section of the page, one file.

    Args:
        name: Of the file.
        panels: In their order.
        columns: Panels beside each other in the file.
        runs: Names for the legend of the file; empty for none.
    """

    name: str
    panels: tuple[Panel, ...]
    columns: int
    runs: tuple[str, ...] = ()


def over_edits(runs: Sequence[Run]) -> Plate:
    """Every metric over N, with intervals."""
    return _curves(
        "metrics-over-edits",
        [(run.name, {n: one.metrics for n, one in run.summary.runs.items()}) for run in runs],
        axis="edits in force (N)",
        logarithmic=True,
    )


def over_age(runs: Sequence[Run]) -> Plate:
    """Every metric of the first edits over the number of later ones, with intervals."""
    series = [(run.name, run.summary.retention) for run in runs]
    return _curves("retention", series, axis="edits made later", logarithmic=False)


def experts_passed(run: Run, at: int) -> Plate:
    """How many experts pass the filters, for each N; ``at`` is the run's place on the page."""
    shares = {n: routing.passed(some) for n, some in run.probes.items() if routing.chooses(some)}
    return Plate(
        name=f"experts-passed-{at}",
        panels=tuple(
            Panel(
                name=f"passed-{at}-{n}",
                alt=f"Share of probes by number of experts that pass the filters, N = {n:,}: "
                + "; ".join(
                    f"{label(metric)} none {some[0]:.0f}%, one {some[1]:.0f}%"
                    for metric, some in by_metric.items()
                ),
                size=(2.75, 0.7 + 0.2 * len(by_metric)),
                draw=_passed(f"N = {n:,}", by_metric),
            )
            for n, by_metric in shares.items()
            if any(share < 100 for share, *_ in by_metric.values())
        ),
        columns=2,
    )


def similarities(run: Run, at: int) -> Plate:
    """The own edit's margins at the largest N: of its picture, and of its question."""
    probes = run.probes.get(run.most, ())
    panels = []
    for name, title, values, (wanted, unwanted) in (
        ("picture", "Hard visual filter", routing.margins(probes), routing.BY_PICTURE),
        ("question", "Prompt filter", routing.asked(probes), routing.BY_QUESTION),
    ):
        there = {m: values[m] for m in (*wanted, *unwanted) if len(values.get(m, ()))}
        if there:
            panels.append(
                Panel(
                    name=f"margin-{name}-{at}",
                    alt=f"{title}, the own edit's similarity less the threshold, N = {run.most:,}: "
                    + "; ".join(
                        f"{label(metric)} {_beyond(some, metric in wanted)}"
                        for metric, some in there.items()
                    ),
                    size=(3.7, 0.7 + 0.4 * len(there)),
                    draw=_ridges(f"{title}, N = {run.most:,}", there, wanted),
                )
            )
    return Plate(name=f"margins-{at}", panels=tuple(panels), columns=2)


def as_svg(panel: Panel) -> str:
    """The panel as an SVG element for an HTML page: colours are the page's, ids the panel's own."""
    text = io.StringIO()
    with _style({"svg.fonttype": "none"}):
        figure = _figure(panel.size)
        panel.draw(figure)
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(text, format="svg", transparent=True, metadata=nothing)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r' (?:width|height)="[\d.]+pt"', "", svg, count=2)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{panel.name}-", svg)
    svg = re.sub(r"font: ([\w ]*?)([\d.]+px)[^;\"]*", r"font: \g<1>\g<2> var(--sans)", svg)
    for name, colour in COLOURS.items():
        svg = svg.replace(colour, f"var(--{name})")
    return svg


def write_plate(plate: Plate, folder: Path) -> list[Path]:
    """Write a plate as ``NAME.svg`` and ``NAME.png``.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    columns = min(plate.columns, len(plate.panels))
    rows = -(-len(plate.panels) // columns)
    wide, high = (max(panel.size[side] for panel in plate.panels) for side in (0, 1))
    legend = 0.1 + 0.25 * -(-len(plate.runs) // _BESIDE) if len(plate.runs) > 1 else 0.0
    paths = [folder / f"{plate.name}.{kind}" for kind in ("svg", "png")]
    with _style({"svg.fonttype": "path"}):
        figure = _figure((wide * columns, high * rows + legend))
        grid = figure.subfigures(rows, columns, squeeze=False).flatten()
        for place, panel in zip(grid, plate.panels, strict=False):
            panel.draw(place)
        if legend:
            _legend(figure, plate.runs)
        figure.savefig(paths[0], metadata={"Date": None})
        figure.set_layout_engine("none")  # all has its place now
        figure.savefig(paths[1], dpi=200)
    return paths


def _style(more: dict[str, Any]) -> Any:
    try:
        from matplotlib import rc_context
    except ImportError as error:
        raise MissingExtra("matplotlib", extra="report") from error
    settings: Any = {**_STYLE, **more}  # matplotlib's type is a list of all its settings
    return rc_context(settings)


def _figure(size: tuple[float, float]) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="constrained")


def _legend(figure: Figure, names: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], label=name, **_look(at)) for at, name in enumerate(names)]
    figure.legend(handles=handles, loc="outside lower center", ncols=_BESIDE, frameon=False)


def _look(at: int) -> dict[str, Any]:
    """How the line of a run looks: no two of the first 24 alike."""
    return {
        "color": COLOURS[RUN_COLOURS[at % len(RUN_COLOURS)]],
        "linestyle": _LINES[at // len(RUN_COLOURS) % len(_LINES)],
        "marker": _MARKERS[at % len(_MARKERS)],
        "markersize": 3.6,
        "linewidth": 1.4,
    }


# of a run: its name, then by N (or number of later edits) the figures of every metric
_Series = tuple[str, Mapping[int, Mapping[str, Figures]]]


def _curves(name: str, series: Sequence[_Series], *, axis: str, logarithmic: bool) -> Plate:
    metrics = ordered(
        sorted({metric for _, points in series for one in points.values() for metric in one})
    )
    return Plate(
        name=name,
        panels=tuple(
            Panel(
                name=f"{name}-{re.sub('[^a-z0-9]', '-', metric)}-{at}",
                alt=f"{label(metric)} over {axis}. "
                + " ".join(_told(metric, each) for each in series),
                size=(2.5, 1.95),
                draw=_curve(metric, series, axis, logarithmic),
            )
            for at, metric in enumerate(metrics)
        ),
        columns=4,
        runs=tuple(name for name, _ in series),
    )


def _told(metric: str, series: _Series) -> str:
    name, points = series
    found = [f"{x:,}: {one[metric].accuracy:.1f}%" for x, one in points.items() if metric in one]
    return f"{name}: {', '.join(found)}." if found else ""


def _curve(
    metric: str, series: Sequence[_Series], axis: str, logarithmic: bool
) -> Callable[[FigureBase], None]:
    def draw(figure: FigureBase) -> None:
        from matplotlib.ticker import MaxNLocator

        axes = figure.subplots()
        everywhere, least = set(), 90.0
        for at, (_, points) in enumerate(series):
            there = {x: one[metric] for x, one in sorted(points.items()) if metric in one}
            if not there:
                continue
            lows, highs = zip(*(figures.interval for figures in there.values()), strict=True)
            look = _look(at)
            axes.fill_between(list(there), lows, highs, color=look["color"], alpha=0.16, lw=0)
            axes.plot(list(there), [f.accuracy for f in there.values()], **look, clip_on=False)
            everywhere |= set(there)
            least = min(least, *lows)
        if logarithmic:
            axes.set_xscale("log")
        _edits(axes, sorted(everywhere))
        bottom = 5 * np.floor(least / 5)
        room = 0.04 * (100 - bottom)  # so that neither lines nor figures lie on the frame
        axes.set(title=label(metric), xlabel=axis, ylim=(bottom - room, 100 + room))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=True))
        axes.grid(axis="y")

    return draw


def _edits(axes: Axes, places: Sequence[int]) -> None:
    axes.set_xticks(places, [f"{place:,}" for place in places])
    axes.set_xticks([], minor=True)


def _passed(title: str, by_metric: Mapping[str, Sequence[float]]) -> Callable[[FigureBase], None]:
    def draw(figure: FigureBase) -> None:
        axes = figure.subplots()
        names = [label(metric) for metric in by_metric]
        left = np.zeros(len(names))
        for at, heading in enumerate(routing.PASSED):
            wide = np.array([shares[at] for shares in by_metric.values()])
            axes.barh(
                names, wide, left=left, height=0.72, color=COLOURS[f"few-{at}"], label=heading
            )
            left += wide
        axes.invert_yaxis()
        axes.set(title=title, xlabel="% of probes", xlim=(0, 100))
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", colors=COLOURS["ink"])

    return draw


def _ridges(
    title: str, values: Mapping[str, np.ndarray], wanted: Sequence[str]
) -> Callable[[FigureBase], None]:
    def draw(figure: FigureBase) -> None:
        rows = figure.subplots(len(values), sharex=True, squeeze=False).flatten()
        low, high = np.percentile(np.concatenate(list(values.values())), [0.1, 99.9])
        low, high = min(low, 0.0), max(high, 0.0)
        if low == high:  # all but a few are on the threshold
            low, high = -1.0, 1.0
        edges = np.linspace(low, high, _BINS + 1)
        for axes, (metric, some) in zip(rows, values.items(), strict=True):
            inside = metric in wanted
            colour = COLOURS["wanted" if inside else "unwanted"]
            # what lies beyond the edges counts to the outermost bins
            shares, _ = np.histogram(np.clip(some, edges[0], edges[-1]), edges)
            axes.stairs(shares, edges, fill=True, color=colour, alpha=0.55)
            axes.axvline(0, color=COLOURS["ink"], lw=0.9)
            axes.set_ylabel(label(metric), rotation=0, ha="right", va="center")
            axes.yaxis.label.set_color(COLOURS["ink"])
            place, side = (0, "left") if inside else (1, "right")  # where the others are
            axes.text(
                place, 0.86, _beyond(some, inside), transform=axes.transAxes, ha=side, va="top",
                size=7.5, color=COLOURS["soft"],
            )  # fmt: skip
            axes.set(yticks=[], xlim=(edges[0], edges[-1]))
            axes.tick_params(bottom=axes is rows[-1])
            axes.spines["left"].set_visible(False)
        rows[0].set_title(title)
        rows[-1].set_xlabel("own edit’s similarity less the threshold")

    return draw


def _beyond(some: np.ndarray, wanted: bool) -> str:
    """The share on the wrong side of the threshold."""
    wrong = 100 * float((some <= 0).mean() if wanted else (some > 0).mean())
    return f"{wrong:.1f}% kept out" if wanted else f"{wrong:.1f}% let in"
