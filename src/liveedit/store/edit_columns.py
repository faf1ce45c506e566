"""Edits that were read from the log, as columns for the rows in memory."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from liveedit.store.records import StoredEdit
from liveedit.store.serialization import BadBytes, unpack


@dataclass(frozen=True, kw_only=True)
class EditColumns:
    """A batch of edits, column by column.

    Args:
        names: Of the edits.
        columns: Their keys, whether they have a picture, their numbers and revisions.
        problems: What is wrong with some, by name; their keys are zero.
    """

    names: Sequence[str]
    columns: Mapping[str, Tensor]
    problems: Mapping[str, str]


def columns_of(
    batch: Sequence[StoredEdit], shapes: Mapping[str, tuple[int, ...]], known: Container[str]
) -> EditColumns:
    """Unpack the keys of a batch.

    Args:
        batch: As it was read.
        shapes: Of the keys.
        known: Names that are taken; a damaged edit may claim one of them, and gets another.
    """
    nothing = {name: torch.zeros(shape) for name, shape in shapes.items()}
    names: list[str] = []
    keys: list[dict[str, Tensor]] = []
    problems: dict[str, str] = {}
    for row in batch:
        problem, own = row.problem, nothing
        if problem is None:
            try:
                own = unpack(row.keys, shapes)
            except BadBytes as error:
                problem = f"keys: {error}"
        name = row.edit.id
        if problem is not None:
            name = f"number {row.number}" if name in known or name in names else name
            problems[name] = problem
        names.append(name)
        keys.append(own)
    return EditColumns(
        names=names,
        columns={
            **{name: torch.stack([own[name] for own in keys]) for name in shapes},
            "sees": torch.tensor([row.edit.image is not None for row in batch]),
            "number": torch.tensor([row.number for row in batch]),
            "revision": torch.tensor([row.revision for row in batch]),
        },
        problems=problems,
    )
