"""What a server answers, as objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer, and the edits that made it what it is.

    Args:
        text: What the model says.
        revision: The store's state that answered.
        fired: Ids of the edits that were used, with their weights; empty where the server's engine
            (``--engine vllm``) does not tell.
        finish: ``stop``, or ``length`` where it was cut off.
        tokens: How many there are.
    """

    text: str
    revision: int
    fired: Mapping[str, float]
    finish: str
    tokens: int


@dataclass(frozen=True, kw_only=True)
class ServedEdit:
    """An edit of a server.

    Args:
        id: Its name.
        namespace: The set it belongs to.
        image: Identity of its picture, or pictures; None for a text-only one.
        prompt, target: The question and the right answer.
        rephrasings: The question in other words.
        author, reason, created: Who made it, why, and when.
        supersedes: Edits that it put out of force.
        state: ``in force``, ``superseded`` or ``revoked``; empty right after it was made.
        reached: Whether the model gives the target; None where that was not asked.
        answer: What it gives where it does not.
        steps: Gradient steps that making it took.
        conflicts: Earlier edits about the same or the like: id, kind, similarity, prompt, target.
        revision: The store's, of this edit.
    """

    id: str
    namespace: str
    image: str | None
    prompt: str
    target: str
    author: str
    reason: str
    created: datetime
    rephrasings: Sequence[str] = ()
    supersedes: Sequence[str] = ()
    state: str = ""
    reached: bool | None = None
    answer: str | None = None
    steps: int = 0
    conflicts: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    revision: int | None = None

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> ServedEdit:
        """From JSON; what a later server says beyond is passed over."""
        known = {one.name: row[one.name] for one in fields(cls) if one.name in row}
        return cls(**{**known, "created": datetime.fromisoformat(row["created"])})


@dataclass(frozen=True, kw_only=True)
class EditPage:
    """Some edits of a list.

    Args:
        edits: These.
        next: Where the next page begins; None after the last.
        total: How many there are on all pages.
    """

    edits: Sequence[ServedEdit]
    next: int | None
    total: int


@dataclass(frozen=True, kw_only=True)
class Revision:
    """Something that was done to a store.

    Args:
        revision: Its number.
        kind: ``add``, ``revoke`` or ``restore``.
        edits: Ids of the edits.
        author, reason, created: Who did it, why, and when.
    """

    revision: int
    kind: str
    edits: Sequence[str]
    author: str
    reason: str
    created: datetime


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What came of an import.

    Args:
        added: Edits that were written.
        known: Edits that the store held before.
        revision: The store's, afterwards.
    """

    added: int
    known: int
    revision: int
