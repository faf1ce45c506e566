"""Tensors of edits, by name. What they mean is the editing method's business, not the store's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from liveedit.store.segmented_tensor import SEGMENT, SegmentedTensor

Values: TypeAlias = Mapping[str, Sequence[Tensor] | Tensor]  # by name, one for each edit
_CACHED = 512  # rows that are made float32 at a time: what stays in the processor's cache is fast


@dataclass(frozen=True, kw_only=True)
class Keys:
    """Keys of a batch of edits or of queries.

    Args:
        vectors: By name, each (batch, length), float32; zero where a row has no picture and the
            key tells of one.
        sees: Whether the row has a picture at all.
    """

    vectors: Mapping[str, Float[Tensor, "batch _length"]]
    sees: Bool[Tensor, " batch"]

    def rows(self, which: slice) -> Keys:
        """Some rows of the batch."""
        return Keys(
            vectors={name: vector[which] for name, vector in self.vectors.items()},
            sees=self.sees[which],
        )

    @staticmethod
    def join(parts: Sequence[Keys]) -> Keys:
        """One batch after the other; at least one."""
        return Keys(
            vectors={
                name: torch.cat([part.vectors[name] for part in parts]) for name in parts[0].vectors
            },
            sees=torch.cat([part.sees for part in parts]),
        )

    @property
    def joined(self) -> Float[Tensor, "batch lengths"]:
        """All keys of a row, one behind the other."""
        return torch.cat([vector.float() for vector in self.vectors.values()], 1)


@dataclass(frozen=True, kw_only=True)
class KeyRows:
    """Keys of many edits.

    Args:
        columns: By name, each (edits, length), in any floating dtype.
        sees: Which edits have a picture.
    """

    columns: Mapping[str, SegmentedTensor]
    sees: Bool[Tensor, " edits"]

    def __len__(self) -> int:
        return len(self.sees)

    def __getitem__(self, rows: Int[Tensor, " some"]) -> KeyRows:
        """Copies of some rows."""
        return KeyRows(
            columns={
                name: SegmentedTensor((column[rows],)) for name, column in self.columns.items()
            },
            sees=self.sees[rows],
        )

    @property
    def whole(self) -> Keys:
        """All of them, float32, in one piece; of very many edits a copy."""
        return Keys(
            vectors={name: column.whole.float() for name, column in self.columns.items()},
            sees=self.sees,
        )

    def parts(self) -> Iterator[Keys]:
        """All of them, float32, segment by segment, and those not held so in smaller parts."""
        names, columns = list(self.columns), list(self.columns.values())
        sees = self.sees.split([len(segment) for segment in columns[0].segments])
        for *segments, seeing in zip(*(column.segments for column in columns), sees, strict=True):
            size = SEGMENT if segments[0].dtype == torch.float32 else _CACHED
            for *some, rows in zip(*(s.split(size) for s in (*segments, seeing)), strict=True):
                vectors = {name: one.float() for name, one in zip(names, some, strict=True)}
                yield Keys(vectors=vectors, sees=rows)
