"""Where two runs differ: paired by N, correction and metric."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from liveedit.benchmark.report.labels import label, ordered
from liveedit.benchmark.report.loading import SUMMARY, Run
from liveedit.benchmark.report.probe import Probe
from liveedit.benchmark.report.resampling import holm, paired_interval, sign_flip
from liveedit.errors import RunsDiffer

Measure = Literal["accuracy", "exact_match"]
LEVEL = 0.05

# probes by N, metric and number of the correction; more than one where it was in several groups
_Table = Mapping[tuple[int, str], Mapping[int, Sequence[Probe]]]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A against B in one metric with N edits in force; means and difference in per cent.

    Args:
        n: Edits in force.
        metric: What is measured.
        pairs: Corrections asked about in both runs.
        mean_a, mean_b: Means over these.
        difference: Of B less A.
        low, high: Its 95% interval, paired bootstrap.
        p: Of no difference, two-sided, sign flips over pairs.
        p_holm: The same, corrected for the number of comparisons.
        only_a, only_b: Pairs of which one run alone is right (generated answer; without one, every
            token).
    """

    n: int
    metric: str
    pairs: int
    mean_a: float
    mean_b: float
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    only_a: int
    only_b: int

    @property
    def significant(self) -> bool:
        """Whether the corrected p-value is below 5%."""
        return self.p_holm < LEVEL


@dataclass(frozen=True, kw_only=True)
class Unpaired:
    """Corrections that one run alone was asked about."""

    run: Literal["a", "b"]
    n: int
    metric: str
    cases: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two runs, compared wherever both were asked the same.

    Args:
        a, b: Names of the runs.
        measure: What was compared.
        rows: By N and metric.
        unpaired: What could not be compared.
        cautions: What to know before reading the figures, in sentences.
    """

    a: str
    b: str
    measure: Measure
    rows: tuple[Difference, ...]
    unpaired: tuple[Unpaired, ...]
    cautions: tuple[str, ...]

    @property
    def words(self) -> list[str]:
        """What is found, in sentences."""
        found = [self._sentence(row) for row in self.rows if row.significant]
        count = len(self.rows)
        rest = count - len(found)
        if not found:
            return [
                f"{self.a} and {self.b} differ significantly in none of {count} comparisons "
                f"(p < {LEVEL:g} after Holm's correction); that is no proof that they are equal."
            ]
        if rest:
            found.append(f"No significant difference in the other {rest} of {count} comparisons.")
        return found

    def _sentence(self, row: Difference) -> str:
        better, other, sign = (self.b, self.a, 1) if row.difference > 0 else (self.a, self.b, -1)
        low, high = sorted((sign * row.low, sign * row.high))
        return (
            f"N = {row.n:,}, {label(row.metric)}: {better} is better than {other} by "
            f"{abs(row.difference):.2f} points (95%: {low:.2f} to {high:.2f}; "
            f"{p_text(row.p_holm)})."
        )


def p_text(p: float) -> str:
    """A p-value for readers."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def compare(a: Run, b: Run, *, measure: Measure = "accuracy") -> Comparison:
    """Compare two runs probe by probe.

    Where a correction was asked about several times with the same N (text-only ones stand beside
    several groups), its mean is one value, and it counts as right if it was so every time.

    Args:
        a: The one run.
        b: The other.
        measure: Accuracy under teacher forcing, or exact match of the generated answers.

    Raises:
        RunsDiffer: Another dataset, split or question, nothing in common, or exact match of a run
            without generation.
    """
    for field in ("dataset", "split"):
        one, other = getattr(a.summary, field), getattr(b.summary, field)
        if one != other:
            raise RunsDiffer(
                f"{a.name} is a run on {field} {one!r}, {b.name} on {other!r}; compare runs of "
                f"the same {field}: see {SUMMARY} in their folders"
            )
    tables = _table(a), _table(b)
    shared = [key for key in _keys(tables) if set(tables[0][key]) & set(tables[1][key])]
    if not shared:
        raise RunsDiffer(
            f"{a.name} and {b.name} have no probe in common (N and correction); "
            "run one of them again with the --edits of the other"
        )
    found = []
    for key in shared:
        asked_a, asked_b = (table[key] for table in tables)
        pairs = [(asked_a[case], asked_b[case]) for case in sorted({*asked_a} & {*asked_b})]
        for pair in pairs:
            _same_question(a, b, key[0], pair[0][0], pair[1][0])
        found.append((key, pairs, _values(pairs, measure, (a, b))))
    p_values = [sign_flip(values[:, 1] - values[:, 0]) for _, _, values in found]
    rows = [
        _difference(key, pairs, values, p, corrected)
        for (key, pairs, values), p, corrected in zip(found, p_values, holm(p_values), strict=True)
    ]
    return Comparison(
        a=a.name,
        b=b.name,
        measure=measure,
        rows=tuple(rows),
        unpaired=tuple(_unpaired(tables)),
        cautions=tuple(_cautions(a, b)),
    )


def _table(run: Run) -> _Table:
    table: dict[tuple[int, str], dict[int, list[Probe]]] = defaultdict(lambda: defaultdict(list))
    for n, probes in run.probes.items():
        for probe in probes:
            table[n, probe.metric][probe.case].append(probe)
    return table


def _keys(tables: Sequence[_Table]) -> list[tuple[int, str]]:
    """Every N and metric of either run, in order."""
    there = {key for table in tables for key in table}
    return [
        (n, metric)
        for n in sorted({n for n, _ in there})
        for metric in ordered(sorted({metric for _, metric in there}))
        if (n, metric) in there
    ]


def _same_question(a: Run, b: Run, n: int, one: Probe, other: Probe) -> None:
    same = one.prompt == other.prompt and (not one.wants_target or one.expected == other.expected)
    if not same:
        raise RunsDiffer(
            f"{a.name} and {b.name} asked different things of correction {one.case} "
            f"({label(one.metric)}, N = {n}): {one.prompt!r} wanting {one.expected!r}, and "
            f"{other.prompt!r} wanting {other.expected!r}; run both with the same version of "
            "liveedit and the same files"
        )


def _values(
    pairs: Sequence[tuple[Sequence[Probe], Sequence[Probe]]],
    measure: Measure,
    runs: tuple[Run, Run],
) -> np.ndarray:
    """Of shape (pairs, 2)."""
    return np.array(
        [
            [
                sum(_value(probe, measure, run) for probe in some) / len(some)
                for some, run in zip(pair, runs, strict=True)
            ]
            for pair in pairs
        ]
    )


def _value(probe: Probe, measure: Measure, run: Run) -> float:
    if measure == "accuracy":
        return probe.accuracy
    if probe.exact is None:
        raise RunsDiffer(
            f"{run.name} has no generated answers; run it again without --no-generate, or compare "
            "accuracy under teacher forcing"
        )
    return float(probe.exact)


def _difference(
    key: tuple[int, str],
    pairs: Sequence[tuple[Sequence[Probe], Sequence[Probe]]],
    values: np.ndarray,
    p: float,
    p_holm: float,
) -> Difference:
    low, high = paired_interval(values[:, 1] - values[:, 0])
    right = [tuple(all(probe.right for probe in some) for some in pair) for pair in pairs]
    mean_a, mean_b = values.mean(0)
    n, metric = key
    return Difference(
        n=n,
        metric=metric,
        pairs=len(pairs),
        mean_a=100 * float(mean_a),
        mean_b=100 * float(mean_b),
        difference=100 * float(mean_b - mean_a),
        low=100 * low,
        high=100 * high,
        p=p,
        p_holm=p_holm,
        only_a=right.count((True, False)),
        only_b=right.count((False, True)),
    )


def _unpaired(tables: tuple[_Table, _Table]) -> Iterator[Unpaired]:
    names: tuple[Literal["a", "b"], ...] = ("a", "b")
    for n, metric in _keys(tables):
        cases = [set(table.get((n, metric), ())) for table in tables]
        for at, name in enumerate(names):
            alone = cases[at] - cases[1 - at]
            if alone:
                yield Unpaired(run=name, n=n, metric=metric, cases=tuple(sorted(alone)))


def _cautions(a: Run, b: Run) -> Iterator[str]:
    if a.summary.backbone != b.summary.backbone:
        yield (
            f"The backbones differ ({a.summary.backbone} and {b.summary.backbone}): locality is "
            "agreement with each run's own unedited model."
        )
    if a.summary.corrections != b.summary.corrections:
        yield (
            f"The runs have {a.summary.corrections:,} and {b.summary.corrections:,} corrections: "
            "where the last group is cut short, fewer edits are in force."
        )
