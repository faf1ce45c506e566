"""The report as one HTML file that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from tqdm import tqdm

from liveedit import __version__
from liveedit.benchmark.published.paper import FIVE, SOURCE, Quoted, published
from liveedit.benchmark.report import routing
from liveedit.benchmark.report.failures import Failure, Failures
from liveedit.benchmark.report.labels import ASKED, Kind, kinds, label, ordered
from liveedit.benchmark.report.latex import average, method_names
from liveedit.benchmark.report.loading import Figures, Run
from liveedit.benchmark.report.panels import RUN_COLOURS, Plate, as_svg
from liveedit.benchmark.report.pictures import Album, Suites
from liveedit.benchmark.report.side_by_side import compared

_LONGEST = 280  # characters of a question or an answer that are shown


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Figures of a run as a table: metrics down, N (or number of later edits) across."""

    columns: tuple[int, ...]
    kinds: Sequence[Kind]
    figures: Mapping[int, Mapping[str, Figures]]
    speed: Mapping[int, float | None]

    def before(self, metric: str) -> float | None:
        """Accuracy of the unedited model, at the last column that has the metric."""
        there = [self.figures[n][metric] for n in self.columns if metric in self.figures[n]]
        return there[-1].before if there else None

    def average(self, n: int, field: str = "accuracy") -> float | None:
        """Of the paper's five."""
        return average({m: getattr(one, field) for m, one in self.figures[n].items()})


@dataclass(frozen=True, kw_only=True)
class Edit:
    """The edit that fired wrongly."""

    picture: str | None
    question: str
    target: str
    weight: float


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A failure with its picture, and the edit that fired if it was a wrong one.

    Args:
        failure: What failed.
        known: Whether the correction is known; if not, there is no picture to show.
        picture: Data URL, None for none.
        edit: What fired wrongly, or None.
        own: Whether that is the correction's own edit.
    """

    failure: Failure
    known: bool
    picture: str | None
    edit: Edit | None
    own: bool


@dataclass(frozen=True, kw_only=True)
class Section:
    """All about one run.

    Args:
        run: The run.
        method: Its method as the paper writes it.
        colour: Its CSS variable in the plots.
        grid: Its figures.
        later: Its figures by number of later edits, or None.
        chooses: Whether edits stay out of any question, see `routing.chooses`.
        passed, margins: SVG elements.
        fires: By N and metric what fired.
        fired: The metrics of these.
        failures: What failed, with the pictures of the worst.
        problem: Why there are no pictures, or None.
        settings: Name and value of every setting.
    """

    run: Run
    method: str
    colour: str
    grid: Grid
    later: Grid | None
    chooses: bool
    passed: Sequence[Markup]
    margins: Sequence[Markup]
    fires: Mapping[int, Mapping[str, routing.Fires]]
    fired: Sequence[str]
    failures: Sequence[tuple[Failures, Sequence[Shown]]]
    problem: str | None
    settings: Sequence[tuple[str, str]]


def render_page(
    runs: Sequence[Run],
    plates: Sequence[Plate],
    failed: Sequence[Sequence[Failures]],
    *,
    suites: Suites,
) -> str:
    """Show some runs beside each other.

    Args:
        runs: The runs.
        plates: Their plots.
        failed: For each run what failed.
        suites: Gives the suite of a run, for the pictures.

    Returns:
        An HTML document that carries its pictures, plots and styles, loads nothing and runs no
        script.
    """
    drawn = _drawn(plates)
    there = {m for run in runs for one in run.summary.runs.values() for m in one.metrics}
    sections = [
        _section(at, run, name, some, drawn, ordered(sorted(there)), suites)
        for at, (run, name, some) in enumerate(
            zip(runs, method_names(runs), failed, strict=True), start=1
        )
    ]
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["label"] = label
    environment.filters["short"] = short
    template = files(__package__).joinpath("page.html.j2").read_text(encoding="utf-8")
    quoted = _quoted(runs)
    return environment.from_string(template).render(
        sections=sections,
        asked=ASKED,
        five=FIVE,
        curves=drawn.get("metrics-over-edits", ()),
        compared=[
            (some, drawn.get(f"side-by-side-{at}", ()))
            for at, some in enumerate(compared(runs), start=1)
        ],
        ages=drawn.get("retention", ()),
        passed_headings=routing.PASSED,
        quoted=[row for row in quoted if row.table == 1 and row.method == "LiveEdit"],
        others=[row for row in quoted if not (row.table == 1 and row.method == "LiveEdit")],
        source=SOURCE,
        version=__version__,
    )


def short(text: str) -> str:
    """A text on one line, cut where it is very long."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1].rstrip() + "…"


def _drawn(plates: Sequence[Plate]) -> dict[str, list[Markup]]:
    """By name of the plate its panels."""
    panels = [(plate.name, panel) for plate in plates for panel in plate.panels]
    drawn: dict[str, list[Markup]] = {}
    for name, panel in tqdm(panels, desc="plots", unit="plot", leave=False, delay=2):
        figure = Markup('<figure class="plot" role="img" aria-label="{}">{}</figure>')
        drawn.setdefault(name, []).append(figure.format(panel.alt, Markup(as_svg(panel))))
    return drawn


def _section(
    at: int,
    run: Run,
    method: str,
    failed: Sequence[Failures],
    drawn: Mapping[str, Sequence[Markup]],
    metrics: Sequence[str],
    suites: Suites,
) -> Section:
    later = run.summary.retention
    album = Album(run.settings, suites) if failed else None
    fires = {n: routing.fires(probes) for n, probes in run.probes.items()}
    shown = [(some, [_shown(one, album) for one in some.worst]) for some in failed if album]
    return Section(
        run=run,
        method=method,
        colour=RUN_COLOURS[(at - 1) % len(RUN_COLOURS)],
        grid=Grid(
            columns=tuple(run.summary.runs),
            kinds=kinds(metrics),
            figures={n: one.metrics for n, one in run.summary.runs.items()},
            speed={n: one.corrections_per_second for n, one in run.summary.runs.items()},
        ),
        later=Grid(
            columns=tuple(sorted(later)),
            kinds=kinds(ordered(sorted({m for one in later.values() for m in one}))),
            figures=later,
            speed={},
        )
        if later
        else None,
        chooses=any(routing.chooses(probes) for probes in run.probes.values()),
        passed=drawn.get(f"experts-passed-{at}", ()),
        margins=drawn.get(f"margins-{at}", ()),
        fires=fires,
        fired=ordered(sorted({metric for by_metric in fires.values() for metric in by_metric})),
        failures=shown,
        problem=album.problem if album else None,
        settings=list(_settings(run.settings)),
    )


def _shown(failure: Failure, album: Album) -> Shown:
    probe = failure.probe
    known = album.knows(probe)
    edit = None
    if probe.top is not None and probe.fired_wrongly:
        fired = album.of_edit(probe.top) if known else None
        picture, question, target = fired or (None, "", "")
        edit = Edit(picture=picture, question=question, target=target, weight=probe.top.weight)
    return Shown(
        failure=failure,
        known=known,
        picture=album.of_probe(probe),
        edit=edit,
        own=probe.own_fired,
    )


def _quoted(runs: Sequence[Run]) -> list[Quoted]:
    """Rows of the paper about the runs' datasets; about both, where it has none of them."""
    ours = {run.summary.dataset.casefold() for run in runs}
    return [row for row in published() if row.dataset.casefold() in ours] or list(published())


def _settings(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Settings without figures; those of a group after the group's name."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            if key not in ("runs", "retention"):
                yield from _settings(value, f"{above}{key}.")
        else:
            yield above + key, str(value)
