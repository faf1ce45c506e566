"""Which edits are in force: not revoked, and not superseded by one that is not revoked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class InForce(Generic[Key]):
    """Follows additions, revocations and restorations; each costs what it concerns.

    The methods return the edits whose being in force may have changed.
    """

    def __init__(self) -> None:
        self.revoked: set[Key] = set()
        self._supersedes: dict[Key, tuple[Key, ...]] = {}
        self._superseded: Counter[Key] = Counter()

    def __contains__(self, edit: Key) -> bool:
        return edit not in self.revoked and not self.superseded(edit)

    def superseded(self, edit: Key) -> bool:
        """Whether one that is not revoked supersedes it."""
        return self._superseded[edit] > 0 if edit in self._superseded else False

    def add(self, edit: Key, supersedes: Sequence[Key] = ()) -> tuple[Key, ...]:
        """A new edit."""
        if supersedes:
            self._supersedes[edit] = tuple(supersedes)
            self._superseded.update(supersedes)
        return (edit, *supersedes)

    def forget(self, edit: Key) -> tuple[Key, ...]:
        """As if it had never been added."""
        changed = self.revoke(edit)
        self.revoked.discard(edit)
        self._supersedes.pop(edit, None)
        return changed[1:]

    def revoke(self, edit: Key) -> tuple[Key, ...]:
        """An edit is taken back."""
        others = self._supersedes.get(edit, ())
        if edit not in self.revoked:
            self.revoked.add(edit)
            self._superseded.subtract(others)
        return (edit, *others)

    def restore(self, edit: Key) -> tuple[Key, ...]:
        """An edit that was taken back is there again."""
        others = self._supersedes.get(edit, ())
        if edit in self.revoked:
            self.revoked.remove(edit)
            self._superseded.update(others)
        return (edit, *others)
