"""Low-rank changes of modules as the tensors of an edit: what they read, and what they write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from liveedit.methods.shared.weights.weight_change import Changes, LowRank, SummedRanks, Values
from liveedit.store.layout import Shapes

_READS, _WRITES = "reads", "writes"


def factor_shapes(paths: Sequence[str], sizes: Callable[[str], tuple[int, int]]) -> Shapes:
    """Shapes of both factors of each module; as many rows as the change's rank.

    Args:
        paths: The modules.
        sizes: How many numbers a module gives and takes.
    """
    shapes: dict[str, tuple[int | None, ...]] = {}
    for path in paths:
        high, wide = sizes(path)
        shapes |= {f"{path}.{_READS}": (None, wide), f"{path}.{_WRITES}": (None, high)}
    return shapes


def stored_factors(changes: Mapping[str, LowRank]) -> dict[str, Tensor]:
    """Low-rank changes as an edit's tensors, in half precision."""
    found = {}
    for path, one in changes.items():
        found[f"{path}.{_READS}"] = one.reads.detach().half().cpu().contiguous()
        found[f"{path}.{_WRITES}"] = one.writes.detach().half().cpu().contiguous()
    return found


def factors_of(values: Values, paths: Sequence[str], device: torch.device) -> dict[str, LowRank]:
    """The low-rank changes that an edit's tensors are, in float32.

    Args:
        values: The tensors.
        paths: The modules.
        device: Where they will be used.
    """

    def part(name: str) -> Tensor:
        return values[name].to(device).float()

    return {
        path: LowRank(reads=part(f"{path}.{_READS}"), writes=part(f"{path}.{_WRITES}"))
        for path in paths
    }


def summed(changes: Changes, more: Mapping[str, LowRank]) -> Changes:
    """Those in force with those of one edit more."""
    together = {}
    for path, one in more.items():
        before = changes.get(path, SummedRanks())
        assert isinstance(before, SummedRanks)
        together[path] = before.plus(one)
    return together
