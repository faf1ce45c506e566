"""Experts that are read when a query is routed to them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock

import torch
from torch import Tensor

from liveedit.errors import DamagedEdit
from liveedit.methods.liveedit.generator import Experts
from liveedit.store.log import EditLog
from liveedit.store.records import NewEdit
from liveedit.store.serialization import BadBytes, unpack


class ExpertCache:
    """Experts by the number of their edit in the log.

    Args:
        log: Where they are written.
        kept: So many are kept after they were read.
        name_of: Name of an edit by its number, None if it is not known.
    """

    def __init__(self, log: EditLog, kept: int, name_of: Callable[[int], str | None]) -> None:
        self._log, self._name_of = log, name_of
        self._shapes = log.shapes()["expert"]
        self._recent = _Recent(kept)

    def take(self, numbers: Sequence[int], staged: Sequence[NewEdit]) -> Experts:
        """Experts in the order of the numbers; negative ones are not written yet.

        Raises:
            DamagedEdit: One is not what was written.
        """
        found = self._recent.some(numbers)
        missing = [number for number in numbers if number >= 0 and number not in found]
        fresh = self._log.experts(missing) if missing else {}
        for number in numbers:
            if number not in found:
                data = fresh[number] if number >= 0 else staged[-1 - number].expert
                found[number] = self._unpacked(number, data)
        self._recent.keep({number: found[number] for number in fresh})
        shape = (0, 2, *self._shapes["u"])
        both = torch.stack([found[n] for n in numbers]) if numbers else torch.empty(shape)
        return Experts(u=both[:, 0], v=both[:, 1])

    def _unpacked(self, number: int, data: bytes) -> Tensor:
        try:
            tensors = unpack(data, self._shapes)
        except BadBytes as error:
            raise DamagedEdit(self._name_of(number) or f"number {number}", str(error)) from error
        return torch.stack([tensors["u"], tensors["v"]])


class _Recent:
    """Experts that were read lately, at most so many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[int, Tensor] = OrderedDict()
        self._lock = Lock()

    def some(self, numbers: Sequence[int]) -> dict[int, Tensor]:
        """Those of some numbers that are known."""
        with self._lock:
            found = {number: self._known[number] for number in numbers if number in self._known}
            for number in found:
                self._known.move_to_end(number)
        return found

    def keep(self, experts: dict[int, Tensor]) -> None:
        """Keep experts, and forget those that were not asked for the longest."""
        with self._lock:
            self._known.update(experts)
            while len(self._known) > self._most:
                self._known.popitem(last=False)
