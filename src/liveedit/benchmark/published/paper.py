"""Tables 1 and 2 of the LiveEdit paper.

They are in ``liveedit.csv``: Table 1 compares nine editors after 1, 10 (LLaVA alone) and 1,000
edits, Table 2 takes parts away from LiveEdit. One of Table 1's rows is missing, because no legible
copy was at hand: RECIPE on VLKEB with BLIP2 after 1,000 edits.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

FIVE = ("rel", "t_gen", "m_gen", "t_loc", "m_loc")
SOURCE = (
    "Chen et al., Lifelong Knowledge Editing for Vision Language Models with Low-Rank "
    "Mixture-of-Experts, CVPR 2025, arXiv:2411.15432"
)


@dataclass(frozen=True, kw_only=True)
class Quoted:
    """One row of a published table.

    Args:
        table: The table's number in the paper.
        dataset: ``E-VQA`` or ``VLKEB``.
        backbone: ``LLaVA`` or ``BLIP2``, as the paper writes them.
        edits: Edits in force.
        method: The editor (Table 1), or the variant of LiveEdit (Table 2).
        metrics: By metric of ``FIVE``, in per cent: token accuracy under teacher forcing, as the
            authors' code measures it.
        average: Of the five, as printed.
    """

    table: int
    dataset: str
    backbone: str
    edits: int
    method: str
    metrics: Mapping[str, float]
    average: float


@cache
def published() -> tuple[Quoted, ...]:
    """Every row, in the paper's order."""
    text = files(__package__).joinpath("liveedit.csv").read_text(encoding="utf-8")
    return tuple(
        Quoted(
            table=int(row["table"]),
            dataset=row["dataset"],
            backbone=row["backbone"],
            edits=int(row["edits"]),
            method=row["method"],
            metrics={metric: float(row[metric]) for metric in FIVE},
            average=float(row["average"]),
        )
        for row in csv.DictReader(text.splitlines())
    )
