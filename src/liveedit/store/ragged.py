"""Tensors of many edits in one file, whatever number of rows each has."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from liveedit.store.layout import Shapes
from liveedit.store.serialization import stored
from liveedit.store.tensors import Values

ROWS = "rows"  # how many rows each edit has in tensors whose first size differs


def joined(values: Values, shapes: Shapes) -> dict[str, Tensor]:
    """Values of many edits as one tensor for each name.

    Args:
        values: By name, one tensor for each edit.
        shapes: See :class:`liveedit.store.layout.Layout`.

    Returns:
        (edits, ...) of fixed shapes; of others all rows one behind the other, and ``rows``.
    """
    found: dict[str, Tensor] = {}
    for name, (first, *_) in shapes.items():
        tensors = [stored(one) for one in values[name]]
        found[name] = torch.stack(tensors) if first is not None else torch.cat(tensors)
        if first is None:
            found[ROWS] = torch.tensor([len(one) for one in tensors])
    return found


def parted(tensors: Mapping[str, Tensor], shapes: Shapes) -> dict[str, list[Tensor]]:
    """What :func:`joined` made, or files of before schema 0004, as one tensor for each edit.

    Raises:
        KeyError, ValueError: It is something else.
    """
    rows = tensors[ROWS].tolist() if ROWS in tensors else None
    found = {}
    for name, (first, *_) in shapes.items():
        if first is not None or rows is None:
            found[name] = list(tensors[name])
        elif min(rows, default=0) < 0 or sum(rows) != len(tensors[name]):
            raise ValueError(f"{name} has {len(tensors[name])} rows, and {ROWS} says {sum(rows)}")
        else:
            found[name] = list(tensors[name].split(rows))
    return found
