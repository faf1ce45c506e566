"""The figures as LaTeX tables (booktabs), columns in the order of the paper's Table 1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from liveedit.benchmark.published.paper import FIVE
from liveedit.benchmark.report.labels import kinds, label, ordered
from liveedit.benchmark.report.loading import Figures, Run

_SPECIAL = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        **{character: f"\\{character}" for character in "&%$#_{}"},
        **dict.fromkeys("\r\n", " "),
    }
)
# how the paper writes the methods' names
_METHODS = {
    "liveedit": "LiveEdit", "ft": "FT", "ft-l": "FT-L", "ft-m": "FT-M", "mend": "MEND",
    "serac": "SERAC", "tp": "TP", "lte": "LTE", "recipe": "RECIPE", "lemoe": "LEMoE",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Table:
    """One tabular: its measure, its metrics after the paper's five, its lines by N."""

    measure: str
    further: Sequence[str]
    groups: Sequence[tuple[str, Sequence[Sequence[str]]]]


def as_latex(runs: Sequence[Run]) -> str:
    """Two tables: accuracy under teacher forcing, exact match of generated answers.

    Columns: number of edits, editor, Rel, T-Gen, M-Gen, T-Loc, M-Loc and their average as in the
    paper, then every other metric that a run has. A figure that a run lacks is a dash. Text-only
    corrections are left out: the paper has none.
    """
    environment = Environment(
        autoescape=False,  # LaTeX, not HTML: every text goes through ``tex``
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
        keep_trailing_newline=True,
    )
    environment.filters["tex"] = tex
    template = files(__package__).joinpath("tables.tex.j2").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        tables=list(_tables(runs)), datasets=_distinct(_setting(run) for run in runs), label=label
    )


def tex(text: str) -> str:
    """Text with LaTeX's special characters escaped."""
    return text.translate(_SPECIAL)


def method_names(runs: Sequence[Run]) -> list[str]:
    """Each run's method as the paper writes it, with the run's name where two share a method."""
    names = [_METHODS.get(run.summary.method, run.summary.method) for run in runs]
    return [
        f"{name} ({run.name})" if names.count(name) > 1 else name
        for name, run in zip(names, runs, strict=True)
    ]


def average(metrics: Mapping[str, float | None]) -> float | None:
    """Mean of the paper's five; None if one is missing."""
    five = [metrics.get(metric) for metric in FIVE]
    known = [figure for figure in five if figure is not None]
    return sum(known) / len(FIVE) if len(known) == len(FIVE) else None


def _tables(runs: Sequence[Run]) -> Iterator[_Table]:
    there = {m for run in runs for one in run.summary.runs.values() for m in one.metrics}
    further = [
        metric
        for kind in kinds(ordered(sorted(there)))
        if kind.title != "Text-only corrections"
        for metric in kind.metrics
        if metric not in FIVE
    ]
    settings = _distinct(_setting(run) for run in runs)
    for measure, field in (
        ("token accuracy under teacher forcing", "accuracy"),
        ("exact match of generated answers", "exact_match"),
    ):
        groups = []
        for n in sorted({n for run in runs for n in run.summary.runs}):
            lines = []
            for run, name in zip(runs, method_names(runs), strict=True):
                if n in run.summary.runs:
                    figures = _by(field, run.summary.runs[n].metrics)
                    where = f" [{settings.index(_setting(run)) + 1}]" if len(settings) > 1 else ""
                    shown = [figures.get(metric) for metric in FIVE]
                    shown += [average(figures), *(figures.get(metric) for metric in further)]
                    lines.append([name + where, *map(_cell, shown)])
            groups.append((f"{n:,}", lines))
        yield _Table(measure=measure, further=further, groups=groups)


def _by(field: str, metrics: Mapping[str, Figures]) -> dict[str, float | None]:
    return {metric: getattr(figures, field) for metric, figures in metrics.items()}


def _cell(figure: float | None) -> str:
    return "--" if figure is None else f"{figure:.2f}"


def _setting(run: Run) -> str:
    return f"{run.summary.dataset} ({run.summary.split}), {run.summary.backbone}"


def _distinct(texts: Iterator[str]) -> list[str]:
    return list(dict.fromkeys(texts))
