"""Names and shapes of an edit's tensors; free of torch, so that commands start at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

# None as the first size: any number of rows, the same in all tensors of an edit that say so
Shapes = Mapping[str, tuple[int | None, ...]]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The tensors of one edit, float16 or float32.

    Args:
        keys: Vectors that queries are compared with, and their lengths; held in memory.
        values: Tensors that are read when a query is routed to the edit, and their shapes; of those
            whose first size is None each edit has as many rows as it needs.
    """

    keys: Mapping[str, int]
    values: Shapes

    @property
    def key_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The keys as shapes."""
        return {name: (length,) for name, length in self.keys.items()}

    @property
    def shapes(self) -> Shapes:
        """Of all tensors."""
        return {**self.key_shapes, **self.values}

    def bytes_of(self, rows: int) -> int:
        """What an edit takes: keys in single precision, values in half.

        Args:
            rows: Of the values that have as many as they need.
        """
        shapes = ((rows if size is None else size for size in s) for s in self.values.values())
        return 4 * sum(self.keys.values()) + 2 * sum(math.prod(shape) for shape in shapes)

    def as_json(self) -> dict[str, dict[str, object]]:
        """For JSON."""
        return {
            "keys": dict(self.keys),
            "values": {name: list(shape) for name, shape in self.values.items()},
        }

    @classmethod
    def from_json(cls, layout: Mapping[str, Mapping[str, object]]) -> Layout:
        """From what :meth:`as_json` gave.

        Raises:
            KeyError, TypeError, ValueError: It is something else.
        """
        return cls(
            keys={str(name): int(length) for name, length in layout["keys"].items()},  # type: ignore[call-overload]
            values={
                str(name): tuple(None if size is None else int(size) for size in shape)  # type: ignore[attr-defined]
                for name, shape in layout["values"].items()
            },
        )
