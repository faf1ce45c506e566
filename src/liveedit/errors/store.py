"""Stores of edits: what is wrong with them, or with what is asked of them."""

from __future__ import annotations

from liveedit.errors.base import LiveEditError


class UnknownEdit(LiveEditError):
    """An edit id that the store does not hold."""

    def __init__(self, edit_id: str, what: str = "edit") -> None:
        super().__init__(f"there is no {what} {edit_id!r}; list the edits to see their ids")


class StoreError(LiveEditError):
    """Something is wrong with a store of edits, or with what is asked of it."""


class UnknownRevision(StoreError):
    """A revision that a store has not reached."""

    def __init__(self, revision: int, *, newest: int) -> None:
        super().__init__(
            f"the store has no revision {revision}; give one from 0 to {newest}, the newest"
        )


class PastRevision(StoreError):
    """A change while an earlier revision is looked at."""

    def __init__(self, revision: int) -> None:
        super().__init__(
            f"revision {revision} is past and cannot be changed; leave model.at(...) to edit"
        )


class StoreMismatch(StoreError):
    """A store made with another backbone or editor."""

    def __init__(
        self, location: str, *, expected: dict[str, object], found: dict[str, object]
    ) -> None:
        differing = ", ".join(
            f"{key}: store {expected.get(key)!r}, here {found.get(key)!r}"
            for key in sorted(expected.keys() | found.keys())
            if expected.get(key) != found.get(key)
        )
        super().__init__(
            f"the edits in {location} were made with another backbone or editor ({differing}); "
            "load those, or give another store"
        )
        self.expected, self.found = expected, found


class OtherMethod(StoreError):
    """A store made by another editing method."""

    def __init__(self, location: str, *, expected: str, found: str) -> None:
        super().__init__(
            f"the edits in {location} were made by the method {expected!r}, not {found!r}; open "
            f"them with method={expected!r} (--method {expected}), or give another store"
        )
        self.expected, self.found = expected, found


class StoreUnusable(StoreError):
    """A store that does not exist, is none, or cannot be reached."""


class StoreReadOnly(StoreError):
    """A change of a store that may only be read."""

    def __init__(self, location: str) -> None:
        super().__init__(
            f"{location} may only be read; give it and its folder write permission, or copy it"
        )


class StoreFull(StoreError):
    """There is no room for a change; the store is as it was before."""

    def __init__(self, location: str) -> None:
        super().__init__(
            f"there is no room left to write to {location}; nothing was changed: free some and "
            "do it again"
        )


class StoreBusy(StoreError):
    """Another process has been writing for so long that this one gave up; nothing was changed."""

    def __init__(self, location: str) -> None:
        super().__init__(f"{location} is being written by another process; try again later")


class StoreUnreachable(StoreUnusable):
    """A database that does not answer, or ended a connection; nothing was changed."""

    def __init__(self, location: str, problem: str) -> None:
        super().__init__(
            f"{location} cannot be reached ({problem}); see that the database runs, and try again"
        )


class StoreTooNew(StoreError):
    """A store written by a later release."""

    def __init__(self, location: str, *, schema: str) -> None:
        super().__init__(
            f"{location} has schema {schema!r}, which this release does not know; install the "
            "release of liveedit that wrote it, or a later one"
        )


class StoreTooOld(StoreError):
    """A store of an earlier schema that may only be read, and so cannot be migrated."""

    def __init__(self, location: str) -> None:
        super().__init__(
            f"{location} was written by an earlier release; run: liveedit store migrate --store "
            f"{location}"
        )


class DamagedEdit(StoreError):
    """An edit whose bytes are not what was written; it is left out and all others serve."""

    def __init__(self, edit_id: str, problem: str) -> None:
        super().__init__(
            f"edit {edit_id!r} is damaged ({problem}) and was left out; revoke it and make it anew"
        )
        self.edit_id, self.problem = edit_id, problem


class BadImport(StoreError):
    """Corrections or exported edits that cannot be imported; nothing of them was."""


class BadRebase(StoreError):
    """Corrections that cannot be carried over to another store; nothing of it was touched."""


class ConflictingEdit(StoreError):
    """A correction that contradicts or repeats what is in force, where that is not wanted."""
