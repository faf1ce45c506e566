"""What metrics are called, what they ask, and in which order they come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

LABELS: Mapping[str, str] = MappingProxyType(
    {
        "rel": "Rel",
        "t_gen": "T-Gen",
        "m_gen": "M-Gen",
        "t_loc": "T-Loc",
        "m_loc": "M-Loc",
        "ri": "RI",
        "ci": "CI",
        "ni": "NI",
        "portability": "Portability",
        **{f"portability_{hops}": f"{hops}-hop" for hops in range(1, 5)},
        "text_rel": "text Rel",
        "text_gen": "text Gen",
        "text_strict": "text strict",
    }
)
ASKED: Mapping[str, str] = MappingProxyType(
    {
        "rel": "the correction itself",
        "t_gen": "in other words",
        "m_gen": "another picture of the same",
        "t_loc": "a fact, no picture",
        "m_loc": "another question, another picture",
        "ri": "its question, another picture",
        "ci": "another question, its picture",
        "ni": "its question, no picture",
        "portability": "what follows from it",
        **{
            f"portability_{hops}": f"what follows in {hops} step{'s' if hops > 1 else ''}"
            for hops in range(1, 5)
        },
        "text_rel": "the correction itself",
        "text_gen": "in other words",
        "text_strict": "a close question",
    }
)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Metrics that belong together."""

    title: str
    metrics: tuple[str, ...]


_KINDS = (
    Kind(title="Correction", metrics=("rel", "t_gen", "m_gen")),
    Kind(title="Locality", metrics=("t_loc", "m_loc")),
    Kind(title="Strict locality", metrics=("ri", "ci", "ni")),
    Kind(
        title="Portability",
        metrics=("portability", *(f"portability_{hops}" for hops in range(1, 5))),
    ),
    Kind(title="Text-only corrections", metrics=("text_rel", "text_gen", "text_strict")),
)


def label(metric: str) -> str:
    """The metric's name for readers; an unknown one keeps its own."""
    return LABELS.get(metric, metric)


def kinds(metrics: Iterable[str]) -> Sequence[Kind]:
    """Those metrics in their order, by kind; unknown ones last."""
    there = dict.fromkeys(metrics)
    known = {metric for kind in _KINDS for metric in kind.metrics}
    found = [
        Kind(title=kind.title, metrics=tuple(m for m in kind.metrics if m in there))
        for kind in (
            *_KINDS,
            Kind(title="Other", metrics=tuple(m for m in there if m not in known)),
        )
    ]
    return [kind for kind in found if kind.metrics]


def ordered(metrics: Iterable[str]) -> list[str]:
    """Those metrics in their order."""
    return [metric for kind in kinds(metrics) for metric in kind.metrics]
