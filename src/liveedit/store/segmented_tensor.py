"""Rows of tensors in segments: growing copies no more than one segment, whatever the number."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

SEGMENT = 16_384  # rows; with two features of 1,536 half-precision floats 100 MB


@dataclass(frozen=True)
class SegmentedTensor:
    """Rows of one column that do not change any more.

    Args:
        segments: At least one tensor; all but the last have ``SEGMENT`` rows, and a single one any.
    """

    segments: tuple[Tensor, ...]

    def __len__(self) -> int:
        return SEGMENT * (len(self.segments) - 1) + len(self.segments[-1])

    def __getitem__(self, rows: Int[Tensor, " some"]) -> Tensor:
        """Copies of some rows, in their order."""
        if len(self.segments) == 1:
            return self.segments[0][rows]
        ordered, order = rows.sort()
        counts = torch.bincount(ordered // SEGMENT, minlength=len(self.segments)).tolist()
        found = [
            segment.index_select(0, some)
            for segment, some in zip(self.segments, (ordered % SEGMENT).split(counts), strict=True)
            if len(some)
        ]
        if not found:
            return self.segments[0][:0]
        return torch.cat(found).index_select(0, order.argsort())

    @property
    def whole(self) -> Tensor:
        """All rows; a copy if there is more than one segment."""
        return self.segments[0] if len(self.segments) == 1 else torch.cat(self.segments)


class GrowingTensor:
    """Rows that are written one after the other.

    Args:
        empty: A tensor without rows: shape, dtype and device.
    """

    def __init__(self, empty: Tensor) -> None:
        self._segments = [empty]

    def write(self, first: int, values: Tensor) -> None:
        """Set some rows, the first of which may at most be the one behind the last.

        What fills a segment and is as the others is not copied.
        """
        while len(values):
            number, start = divmod(first, SEGMENT)
            some, values = values.tensor_split([SEGMENT - start])
            first += len(some)
            empty = self._segments[0]
            if len(some) == SEGMENT and (some.dtype, some.device) == (empty.dtype, empty.device):
                self.replace(number, some)
            else:
                self._reserve(number, start + len(some))
                self._segments[number][start : start + len(some)] = some

    def first(self, count: int) -> SegmentedTensor:
        """Views of the first rows; they change if these rows are written again."""
        full, rest = divmod(count, SEGMENT)
        cut = [*self._segments[:full]]
        if rest or not full:
            cut.append(self._segments[full][:rest])
        return SegmentedTensor(tuple(cut))

    def replace(self, number: int, segment: Tensor) -> None:
        """Put a full segment in the place of another, or behind the last."""
        self._segments[number : number + 1] = [segment]

    def _reserve(self, number: int, rows: int) -> None:
        if number == len(self._segments):
            self._segments.append(self._segments[0].new_empty(0, *self._segments[0].shape[1:]))
        held = self._segments[number]
        if len(held) < rows:
            grown = held.new_empty(min(SEGMENT, max(rows, 2 * len(held), 16)), *held.shape[1:])
            grown[: len(held)] = held
            self._segments[number] = grown
