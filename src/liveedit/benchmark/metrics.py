"""From single probes to a summary: means, their intervals, exact match."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

# which view of a correction (see ``views``) each metric asks
VIEW_OF: Mapping[str, str] = MappingProxyType(
    {
        "rel": "edit",
        "t_gen": "rephrase",
        "m_gen": "redrawn",
        "t_loc": "fact",
        "m_loc": "elsewhere",
        "ri": "other image",
        "ci": "other question",
        "ni": "no image",
    }
)
TEXT_VIEW_OF: Mapping[str, str] = MappingProxyType(
    {"text_rel": "edit", "text_gen": "rephrase", "text_strict": "other question"}
)
FACT_VIEW_OF: Mapping[str, str] = MappingProxyType({"text_rel": "edit"})
HOP_VIEW_OF: Mapping[str, str] = MappingProxyType({"portability": "hop"})
METRICS = (*VIEW_OF, *TEXT_VIEW_OF, *HOP_VIEW_OF)
# for these the edit's target is wanted; for the others the unedited model's own answer
WANT_TARGET = ("rel", "t_gen", "m_gen", "text_rel", "text_gen", "portability")

# what settings are chosen by: the mean of the exact match of these
OBJECTIVE = ("rel", "t_gen", "m_gen", "m_loc", "ri", "ci")

_RESAMPLES = 2000


def same_answer(one: str, other: str) -> bool:
    """Whether two answers are equal up to case, outer spaces and a closing full stop."""
    return _normal(one) == _normal(other)


def summarise(records: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Figures of every metric, in per cent.

    Args:
        records: One a probe, with ``case`` (the correction's number), ``metric``, ``accuracy`` and
            ``before`` (shares of target tokens) and ``exact``, of which any may be None.
            Those of portability have ``length``.

    Returns:
        For every metric ``accuracy`` (mean over probes of the share of target tokens predicted
        under teacher forcing), ``interval`` (bootstrap over corrections, 95%), ``exact_match`` (of
        freely generated answers) and ``exact_interval``, ``before`` (accuracy of the unedited
        model, where the target is wanted), ``n``; None for what was not asked. Where hops are of
        several lengths, ``portability_1`` and so on, too.
    """
    of: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        of.setdefault(record["metric"], []).append(record)
    summary = {metric: _figures(of[metric]) for metric in METRICS if metric in of}
    lengths: dict[int, list[dict[str, Any]]] = {}
    for record in of.get("portability", ()):
        lengths.setdefault(record["length"], []).append(record)
    if len(lengths) > 1:
        summary |= {f"portability_{n}": _figures(rows) for n, rows in sorted(lengths.items())}
    return summary


def _figures(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "accuracy": _mean([row["accuracy"] for row in rows]),
        "interval": _interval(rows, "accuracy"),
        "exact_match": _mean([row["exact"] for row in rows]),
        "exact_interval": _interval(rows, "exact"),
        "before": _mean([row["before"] for row in rows]),
        "n": len(rows),
    }


def _interval(rows: Sequence[dict[str, Any]], name: str) -> list[float] | None:
    """Of a mean over rows; None where a row has no value."""
    values = [row[name] for row in rows]
    if None in values:
        return None
    drawn = bootstrap(np.array(values, float), np.array([row["case"] for row in rows]))
    return [_percent(bound) for bound in drawn]


def bootstrap(
    values: np.ndarray, clusters: np.ndarray | None = None, *, seed: int = 0
) -> tuple[float, float]:
    """95% interval of the mean, percentile bootstrap.

    Args:
        values: One a probe.
        clusters: What each probe belongs to. Probes that belong together are drawn together: the
            same correction, asked about beside other edits, tells little that is new.
        seed: Of the drawing.
    """
    _, at = np.unique(np.arange(len(values)) if clusters is None else clusters, return_inverse=True)
    sums, sizes = np.bincount(at, values), np.bincount(at)
    drawn = np.random.default_rng(seed).integers(len(sums), size=(_RESAMPLES, len(sums)))
    low, high = np.percentile(sums[drawn].sum(1) / sizes[drawn].sum(1), [2.5, 97.5])
    return float(low), float(high)


def _normal(answer: str) -> str:
    return re.sub(r"\s+", " ", answer.strip().lower()).removesuffix(".")


def _mean(shares: Sequence[float | None]) -> float | None:
    known = [share for share in shares if share is not None]
    return _percent(float(np.mean(known))) if known else None


def _percent(share: float) -> float:
    return round(100 * float(share), 2)
