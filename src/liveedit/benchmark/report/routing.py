"""The routing picture: how many experts pass, whose they are, and by which margin."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from liveedit.benchmark.report.labels import ordered
from liveedit.benchmark.report.probe import Probe

# experts that pass: none, one, two, three to nine, ten or more
PASSED = ("0", "1", "2", "3–9", "10+")
_LEAST = (0, 1, 2, 3, 10)
# the own edit should be let in for the first, kept out for the others
BY_PICTURE = (("rel", "t_gen", "m_gen"), ("ri", "m_loc"))
BY_QUESTION = (("rel", "t_gen", "m_gen"), ("ci", "m_loc"))


T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Fires:
    """Probes of a metric by what routing did.

    Args:
        probes: How many there are.
        wrong: Those where an expert answered that should not.
        missed: Those whose own expert has no part in the answer; None for locality.
        harmless: Of the wrong ones, those whose answer is right all the same.
    """

    probes: int
    wrong: int
    missed: int | None
    harmless: int


def passed(probes: Sequence[Probe]) -> dict[str, list[float]]:
    """By metric the share (per cent) of probes for which 0, 1, 2, 3–9, 10 or more experts pass."""
    shares = {}
    for metric, some in _by_metric(probes, lambda probe: probe.passed).items():
        slots = np.searchsorted(_LEAST, np.asarray(some), side="right") - 1
        counts = np.bincount(slots, minlength=len(PASSED))
        shares[metric] = [float(share) for share in 100 * counts / len(some)]
    return shares


def chooses(probes: Sequence[Probe]) -> bool:
    """Whether edits stay out of any question of locality; changed weights are met by all."""
    passed = [one.passed for one in probes if one.passed is not None and not one.wants_target]
    return not passed or min(passed) == 0


def margins(probes: Sequence[Probe]) -> dict[str, np.ndarray]:
    """By metric the own edit's picture similarity less the hard filter's threshold."""
    return _finite(_by_metric(probes, lambda probe: probe.margin))


def asked(probes: Sequence[Probe]) -> dict[str, np.ndarray]:
    """By metric the own edit's question similarity less its margin."""
    return _finite(_by_metric(probes, lambda probe: probe.asked))


def fires(probes: Sequence[Probe]) -> dict[str, Fires]:
    """By metric what fired."""
    found = {}
    for metric, some in _by_metric(probes, lambda probe: probe).items():
        wrong = [probe for probe in some if probe.fired_wrongly]
        found[metric] = Fires(
            probes=len(some),
            wrong=len(wrong),
            missed=sum(p.missed for p in some) if some[0].wants_target else None,
            harmless=sum(probe.right for probe in wrong),
        )
    return found


def _by_metric(
    probes: Sequence[Probe], value: Callable[[Probe], T | None]
) -> Mapping[str, list[T]]:
    found: dict[str, list[T]] = {}
    for probe in probes:
        one = value(probe)
        if one is not None:
            found.setdefault(probe.metric, []).append(one)
    return {metric: found[metric] for metric in ordered(found)}


def _finite(values: Mapping[str, Sequence[float]]) -> dict[str, np.ndarray]:
    """Of each metric the finite ones; none of a method that compares nothing, all zero."""
    found = {
        metric: np.array([one for one in some if math.isfinite(one)])
        for metric, some in values.items()
    }
    return found if any(some.any() for some in found.values()) else {}
