"""A report's files: the page, and beside it CSV, LaTeX and the plots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from liveedit.benchmark.report.failures import Failures, failures
from liveedit.benchmark.report.latex import as_latex
from liveedit.benchmark.report.loading import Run
from liveedit.benchmark.report.long_csv import as_csv
from liveedit.benchmark.report.page import render_page
from liveedit.benchmark.report.panels import write_plate
from liveedit.benchmark.report.pictures import Suites
from liveedit.benchmark.report.plates import plates_of

PAGE = "report.html"


@dataclass(frozen=True, kw_only=True)
class Written:
    """What was written, and what failed in each run."""

    page: Path
    csv: Path
    latex: Path
    plots: tuple[Path, ...]
    failures: tuple[Sequence[Failures], ...]


def write_report(runs: Sequence[Run], out: Path, *, suites: Suites, shown: int) -> Written:
    """Write a report.

    Args:
        runs: What it is about.
        out: The page, ``NAME.html``; or a folder, for ``report.html`` in it. The other files go
            into a folder ``NAME-files`` beside the page.
        cases: Gives the corrections of a run, for the pictures.
        shown: How many failures of each metric are shown.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    page = out if out.suffix.lower() in (".html", ".htm") else out / PAGE
    plates = list(plates_of(runs))
    failed = tuple(failures(run, shown=shown) for run in runs)
    html = render_page(runs, plates, failed, suites=suites)
    beside = page.with_name(f"{page.stem}-files")
    beside.mkdir(parents=True, exist_ok=True)
    written = {
        page: html,
        beside / "figures.csv": as_csv(runs),
        beside / "tables.tex": as_latex(runs),
    }
    for path, text in written.items():
        path.write_text(text, encoding="utf-8")
    bar = tqdm(plates, desc="plots as files", unit="file", leave=False, delay=2)
    plots = [path for plate in bar for path in write_plate(plate, beside)]
    return Written(
        page=page,
        csv=beside / "figures.csv",
        latex=beside / "tables.tex",
        plots=tuple(plots),
        failures=failed,
    )
