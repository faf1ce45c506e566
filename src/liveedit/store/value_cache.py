"""Values of edits, read when a query is routed to them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock

from torch import Tensor

from liveedit.errors import DamagedEdit
from liveedit.store.log import EditLog
from liveedit.store.records import NewEdit
from liveedit.store.serialization import BadBytes, unpack

Values = dict[str, Tensor]
_BYTES = 1 << 28  # of values that are kept


class ValueCache:
    """Values by the number of their edit in the log.

    Args:
        log: Where they are written.
        kept: So many are kept after they were read; fewer of edits that take very much.
        name_of: Name of an edit by its number, None if it is not known.
    """

    def __init__(self, log: EditLog, kept: int, name_of: Callable[[int], str | None]) -> None:
        self._log, self._name_of = log, name_of
        self._shapes = log.identity.layout.values
        each = max(1, log.identity.layout.bytes_of(1))
        self._recent = _Recent(max(1, min(kept, _BYTES // each)))

    def take(self, numbers: Sequence[int], staged: Sequence[NewEdit]) -> dict[str, list[Tensor]]:
        """Values in the order of the numbers; negative numbers are not written yet.

        Raises:
            DamagedEdit: One is not what was written.
        """
        found = self._recent.some(numbers)
        missing = [number for number in numbers if number >= 0 and number not in found]
        fresh = self._log.values(missing) if missing else {}
        for number in numbers:
            if number not in found:
                data = fresh[number] if number >= 0 else staged[-1 - number].values
                found[number] = self._unpacked(number, data)
        self._recent.keep({number: found[number] for number in fresh})
        return {name: [found[number][name] for number in numbers] for name in self._shapes}

    def _unpacked(self, number: int, data: bytes) -> Values:
        try:
            return unpack(data, self._shapes)
        except BadBytes as error:
            raise DamagedEdit(self._name_of(number) or f"number {number}", str(error)) from error


class _Recent:
    """Values that were read lately, at most so many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[int, Values] = OrderedDict()
        self._lock = Lock()

    def some(self, numbers: Sequence[int]) -> dict[int, Values]:
        """Those of some numbers that are known."""
        with self._lock:
            found = {number: self._known[number] for number in numbers if number in self._known}
            for number in found:
                self._known.move_to_end(number)
        return found

    def keep(self, values: dict[int, Values]) -> None:
        """Keep values, and forget those that were not asked for the longest."""
        with self._lock:
            self._known.update(values)
            while len(self._known) > self._most:
                self._known.popitem(last=False)
