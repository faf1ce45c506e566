"""Names and shapes of an edit's tensors; free of torch, so that commands start at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The tensors of one edit, float32.

    Args:
        keys: Vectors that queries are compared with, and their lengths; held in memory.
        values: Tensors that are read when a query is routed to the edit, and their shapes.
    """

    keys: Mapping[str, int]
    values: Shapes

    @property
    def key_shapes(self) -> Shapes:
        """The keys as shapes."""
        return {name: (length,) for name, length in self.keys.items()}

    @property
    def numbers(self) -> int:
        """How many numbers an edit has."""
        sizes = [math.prod(shape) for shape in self.values.values()]
        return sum(self.keys.values()) + sum(sizes)

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
                str(name): tuple(int(size) for size in shape)  # type: ignore[attr-defined]
                for name, shape in layout["values"].items()
            },
        )
