"""Paired differences: their interval, their p-value, and what many p-values are worth together.

A difference of two shares takes few values. How often each occurs is all that resampling needs:
a bootstrap sample is a multinomial draw of these counts, flipped signs are binomial draws.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

_RESAMPLES = 20_000
_ENUMERATED = 14  # so many differences other than zero have few enough signs to try them all


def paired_interval(differences: np.ndarray, *, seed: int = 0) -> tuple[float, float]:
    """95% interval of the mean difference, percentile bootstrap over pairs.

    Args:
        differences: Of shape (pairs,), at least one.
        seed: Of the resampling.
    """
    values, counts = np.unique(differences, return_counts=True)
    random = np.random.default_rng(seed)
    drawn = random.multinomial(len(differences), counts / len(differences), size=_RESAMPLES)
    low, high = np.percentile(drawn @ values / len(differences), [2.5, 97.5])
    return float(low), float(high)


def sign_flip(differences: np.ndarray, *, seed: int = 0) -> float:
    """Two-sided p-value of no difference: each pair could as well be the other way round.

    Exact where at most 14 differences are not zero, otherwise by chance; then never below
    1 / 20,001.

    Args:
        differences: Of shape (pairs,).
        seed: Of the chance.
    """
    moved = np.abs(differences[differences != 0])
    if not len(moved):
        return 1.0
    least = abs(differences.sum()) * (1 - 1e-9)  # sums in another order may differ in the last bit
    if len(moved) <= _ENUMERATED:
        signs = np.array(list(itertools.product((-1, 1), repeat=len(moved))))
        return float((np.abs(signs @ moved) >= least).mean())
    sizes, counts = np.unique(moved, return_counts=True)
    random = np.random.default_rng(seed)
    positive = random.binomial(counts, 0.5, size=(_RESAMPLES, len(counts)))
    sums = np.abs((2 * positive - counts) @ sizes)
    return float((1 + (sums >= least).sum()) / (1 + _RESAMPLES))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number (Holm 1979), in the order given."""
    order = np.argsort(p_values, kind="stable")
    steps = np.asarray(p_values)[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return [float(p) for p in corrected]
