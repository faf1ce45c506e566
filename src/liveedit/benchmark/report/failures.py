"""The worst failures: what was asked, what came instead, and which edit had fired."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from liveedit.benchmark.report.labels import ordered
from liveedit.benchmark.report.loading import Run
from liveedit.benchmark.report.probe import Probe


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A probe that is wrong.

    Args:
        probe: As it was with the most edits in force.
        edits: Every N at which it is wrong.
    """

    probe: Probe
    edits: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Failures:
    """Failures of a metric.

    Args:
        metric: What is measured.
        worst: The first of them: those that are wrong at the most N, then those of the lowest
            accuracy, then those where the wrong expert has the highest weight.
        different: Corrections that fail at any N.
        by_n: Probes that fail, for each N.
        forced_right: Of all these, those of which teacher forcing gets every token right.
    """

    metric: str
    worst: tuple[Failure, ...]
    different: int
    by_n: Mapping[int, int]
    forced_right: int

    @property
    def total(self) -> int:
        """Probes that fail, at all N together."""
        return sum(self.by_n.values())


def failures(run: Run, *, shown: int) -> list[Failures]:
    """What failed, for every metric of which anything did.

    Args:
        run: With its probes.
        shown: How many of the worst are kept, for each metric.
    """
    wrong: dict[str, dict[int, dict[int, Probe]]] = defaultdict(lambda: defaultdict(dict))
    counts: dict[str, dict[int, int]] = defaultdict(lambda: dict.fromkeys(run.probes, 0))
    forced: dict[str, int] = defaultdict(int)
    for n, probes in run.probes.items():
        for probe in probes:
            if not probe.right:
                wrong[probe.metric][probe.case][n] = probe
                counts[probe.metric][n] += 1
                forced[probe.metric] += probe.accuracy == 1
    return [
        Failures(
            metric=metric,
            worst=tuple(_worst(wrong[metric].values(), shown)),
            different=len(wrong[metric]),
            by_n=counts[metric],
            forced_right=forced[metric],
        )
        for metric in ordered(wrong)
    ]


def _worst(cases: Iterable[Mapping[int, Probe]], shown: int) -> list[Failure]:
    found = [Failure(probe=by_n[max(by_n)], edits=tuple(sorted(by_n))) for by_n in cases]
    return sorted(found, key=_badness)[:shown]


def _badness(failure: Failure) -> tuple[float, ...]:
    probe = failure.probe
    weight = probe.top.weight if probe.top and probe.fired_wrongly else 0
    return -len(failure.edits), probe.accuracy, -weight, probe.case
