"""All figures as CSV in long format: one line for each run, N and metric."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from liveedit.benchmark.report.labels import ordered
from liveedit.benchmark.report.loading import Run

COLUMNS = (
    "run", "n", "metric", "accuracy", "low", "high", "exact_match", "exact_low", "exact_high",
    "before", "probes",
)  # fmt: skip


def as_csv(runs: Sequence[Run]) -> str:
    """Figures in per cent; empty where there are none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for run in runs:
        for n, one in run.summary.runs.items():
            for metric in ordered(one.metrics):
                row = one.metrics[metric]
                exact = (row.exact_match, *(row.exact_interval or (None, None)))
                figures = (row.accuracy, *row.interval, *exact, row.before, row.n)
                writer.writerow((run.name, n, metric, *figures))
    return text.getvalue()
