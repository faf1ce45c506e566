"""Rows of tensors in segments: growing copies no more than one segment, whatever the number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from liveedit.methods.liveedit.routing import EditFeatures

SEGMENT = 16_384  # rows; with two features of 1,536 half-precision floats 100 MB
_CACHED = 512  # rows that are made float32 at a time: what stays in the processor's cache is fast


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


@dataclass(frozen=True, kw_only=True)
class FeatureRows:
    """Edit-side routing features of many edits.

    Args:
        vision: Prompt-guided vision features, (edits, features), in any floating dtype.
        prompt: Prompt features, likewise.
        sees: Which edits have a picture.
    """

    vision: SegmentedTensor
    prompt: SegmentedTensor
    sees: Bool[Tensor, " edits"]

    def __len__(self) -> int:
        return len(self.sees)

    def __getitem__(self, rows: Int[Tensor, " some"]) -> FeatureRows:
        """Copies of some rows."""
        return FeatureRows(
            vision=SegmentedTensor((self.vision[rows],)),
            prompt=SegmentedTensor((self.prompt[rows],)),
            sees=self.sees[rows],
        )

    @property
    def whole(self) -> EditFeatures:
        """All of them, float32."""
        return _features(self.vision.whole, self.prompt.whole, self.sees)

    def parts(self) -> Iterator[EditFeatures]:
        """All of them, float32, segment by segment, and those not held so in smaller parts."""
        sees = self.sees.split([len(segment) for segment in self.vision.segments])
        for segments in zip(self.vision.segments, self.prompt.segments, sees, strict=True):
            size = SEGMENT if segments[0].dtype == torch.float32 else _CACHED
            for part in zip(*(segment.split(size) for segment in segments), strict=True):
                yield _features(*part)


def _features(
    vision: Float[Tensor, "rows features"],
    prompt: Float[Tensor, "rows features"],
    sees: Bool[Tensor, " rows"],
) -> EditFeatures:
    return EditFeatures(vision=vision.float(), prompt=prompt.float(), sees=sees)
