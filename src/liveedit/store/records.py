"""What is written to the log of a store, and what is read of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from liveedit.store.checksums import checksum
from liveedit.store.edit import Edit
from liveedit.store.layout import Layout

Kind = Literal["add", "revoke", "restore"]
State = Literal["in force", "superseded", "revoked", "damaged"]


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What the edits of a store were made with.

    Args:
        fingerprint: Of the backbone and of what the method has learned.
        method: Name of the editing method.
        layout: Tensors of an edit.
        settings: Of the method, those that are not its defaults; two identities may differ in them.
    """

    fingerprint: dict[str, object]
    method: str
    layout: Layout
    settings: Mapping[str, object] = field(default_factory=dict, compare=False)

    @property
    def digest(self) -> str:
        """SHA-256 in hexadecimal of the fingerprint."""
        return checksum(json.dumps(self.fingerprint, sort_keys=True).encode())


@dataclass(frozen=True, kw_only=True)
class NewEdit:
    """An edit to be written.

    Args:
        edit: What people read.
        keys: What queries are compared with, see :func:`liveedit.store.serialization.pack`.
        values: Its other tensors.
    """

    edit: Edit
    keys: bytes
    values: bytes


@dataclass(frozen=True, kw_only=True)
class StoredEdit:
    """An edit as it was read.

    Args:
        number: Its place in the log.
        revision: With which it came.
        edit: What people read.
        keys: What queries are compared with.
        problem: What is wrong with it; None if all is as it was written.
    """

    number: int
    revision: int
    edit: Edit
    keys: bytes
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class Revision:
    """One change of the store.

    Args:
        revision: Its number; the first is 1.
        kind: What was done.
        author: By whom.
        reason: Why.
        created: When, UTC.
        edits: Names of the edits concerned.
    """

    revision: int
    kind: Kind
    author: str
    reason: str
    created: datetime
    edits: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class News:
    """What has come since a revision.

    Args:
        revision: The newest.
        batches: The edits, the oldest first; to be used up while the connection is open.
        events: Revision, kind and number of the edit, of each revocation and restoration.
    """

    revision: int
    batches: Iterator[list[StoredEdit]]
    events: list[tuple[int, Kind, int]]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An edit and what has become of it."""

    edit: Edit
    revision: int
    state: State

    def as_json(self) -> dict[str, object]:
        """Everything, for JSON."""
        return {**self.edit.as_json(), "revision": self.revision, "state": self.state}


@dataclass(kw_only=True)
class CheckReport:
    """What was found when everything was read again.

    Args:
        edits: How many there are.
        revisions: How many changes.
        pictures: How many are kept, beside thumbnails.
        problems: What is wrong, one sentence each.
    """

    edits: int = 0
    revisions: int = 0
    pictures: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems
