"""The curves of a training as a page, drawn from its logs."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from liveedit.benchmark.report.panels import COLOURS, Panel, as_svg
from liveedit.errors import MissingExtra
from liveedit.saving.files import write_whole
from liveedit.training.curve import MERIT, VALIDATION, read_curve

if TYPE_CHECKING:
    from matplotlib.figure import FigureBase

logger = logging.getLogger(__name__)

PAGE, LOSSES = "training.html", "losses.jsonl"
_LOOPS = ("router", "generator", "published")
_POINTS = 120  # of a loss's line: means over as many stretches
_NOT_DRAWN = ("step", "norm", "seconds")

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A plot, and what it shows for those who do not see it."""

    svg: Markup
    alt: str


@dataclass(frozen=True, kw_only=True)
class Part:
    """The curves of a loop.

    Args:
        name: Of the loop.
        steps: That are logged.
        best: Steps after which it was best on validation, None if not known.
        plots: Validation first, then losses.
    """

    name: str
    steps: int
    best: int | None
    plots: Sequence[Drawn]


def write_page(folder: Path) -> Path | None:
    """Draw ``training.html`` from the logs in a folder of a training.

    Args:
        folder: What ``liveedit train --out`` names.

    Returns:
        The page; None where matplotlib, with which it is drawn, is not installed.
    """
    try:
        parts = [part for name in _LOOPS if (part := _part(folder, name))]
    except MissingExtra as missing:
        logger.info("no page of the curves: %s", missing)
        return None
    template = files(__package__).joinpath("page.html.j2").read_text(encoding="utf-8")
    page = Environment(autoescape=True, undefined=StrictUndefined).from_string(template)
    title = f"Training in {folder.resolve().name}"
    write_whole(folder / PAGE, page.render(title=title, parts=parts, colours=COLOURS))
    return folder / PAGE


def _part(folder: Path, name: str) -> Part | None:
    losses = read_curve(folder / name / LOSSES)
    held = read_curve(folder / name / VALIDATION)
    if not losses:
        return None
    plots = [*_plots(name, "validation", held, 1), *_plots(name, "training", losses, 2)]
    merits = [(known, -(row["step"] or 0)) for row in held if (known := row.get(MERIT)) is not None]
    best = int(-max(merits)[1]) if merits else None  # of equal ones the first, which is kept
    return Part(name=name, steps=len(losses), best=best, plots=plots)


def _plots(
    loop: str, kind: str, rows: Sequence[Mapping[str, float | None]], look: int
) -> Iterator[Drawn]:
    names = list(dict.fromkeys(name for row in rows for name in row if name not in _NOT_DRAWN))
    for at, name in enumerate(names):
        points = [
            (row["step"] or 0, known) for row in rows if (known := row.get(name)) is not None
        ]  # fmt: skip
        if not points:
            continue
        (_, first), (_, last) = points[0], points[-1]
        title = f"{name}, {kind}"
        panel = Panel(
            name=f"{loop}-{kind}-{at}-{re.sub('[^a-z0-9]', '-', name)}",
            alt=f"{title}: from {first:.3g} to {last:.3g}.",
            size=(2.6, 1.9),
            draw=_line(title, _means(points), f"run-{look}"),
        )
        yield Drawn(svg=Markup(as_svg(panel)), alt=panel.alt)


def _means(points: Points) -> Points:
    """Of many points means over stretches."""
    width = -(-len(points) // _POINTS)
    stretches = [points[start : start + width] for start in range(0, len(points), width)]
    return [
        (some[-1][0], sum(value for _, value in some) / len(some)) for some in stretches
    ]  # fmt: skip


def _line(title: str, points: Points, colour: str) -> Callable[[FigureBase], None]:
    def draw(figure: FigureBase) -> None:
        axes = figure.subplots()
        steps, values = zip(*points, strict=True)
        marker = "o" if len(points) < 2 else ""
        axes.plot(steps, values, color=COLOURS[colour], linewidth=1.3, marker=marker)
        axes.set(title=title, xlabel="step")
        axes.grid(axis="y")

    return draw
