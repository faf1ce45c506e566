"""What comes of corrections: edits and their tensors, reached targets, conflicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from liveedit.store.edit import Edit
from liveedit.store.tensors import Keys, Values

# what a correction puts out of force: what it contradicts, also what is alike, or nothing
Supersede: TypeAlias = Literal["same", "alike", "never"]


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """An earlier edit about the same, or about what is like it.

    Args:
        edit: The earlier edit.
        kind: ``contradicts``: the same picture (or none), the same question, another target.
            ``repeats``: the same target, too. ``alike``: a picture or a question that is like this
            one, and another target: both may be right.
        similarity: How alike the two are, on the method's own scale; for LiveEdit the smaller of
            the two cosines of vision and prompt features, of text-only edits that of the prompt
            features.
    """

    edit: Edit
    kind: Literal["contradicts", "repeats", "alike"]
    similarity: float


@dataclass(frozen=True, kw_only=True)
class EditOutcome:
    """What came of a correction.

    Args:
        edit: The edit.
        reached: Whether greedy decoding now gives the target, to its end and no further, with all
            other edits in force; None as long as nobody has looked, which the editor then does.
            Of edits that are kept in any case it is the method's own view, which is of each alone
            where it `judges_alone`.
        steps: Gradient steps that took.
        conflicts: Earlier edits about the same or the like, the most alike first.
        answer: What the model says instead; None if the target is reached, or if nobody asked,
            because it is kept in any case.
        refused: Whether it was not written, because the target is not reached.
    """

    edit: Edit
    reached: bool | None
    steps: int
    conflicts: tuple[Conflict, ...]
    answer: str | None = None
    refused: bool = False

    @property
    def id(self) -> str:
        """Name of the edit."""
        return self.edit.id


@dataclass(frozen=True, kw_only=True)
class NewEdits:
    """A batch of edits that is ready for the store, row by row.

    Args:
        outcomes: One for each correction.
        keys: What queries will be compared with.
        values: The other tensors by name, one for each correction; see the method's ``layout``.
    """

    outcomes: Sequence[EditOutcome]
    keys: Keys
    values: Values
