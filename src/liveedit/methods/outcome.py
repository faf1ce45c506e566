"""What comes of corrections: edits and their tensors, reached targets, conflicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from liveedit.store.edit import Edit
from liveedit.store.tensors import Keys


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """An earlier edit about the same picture or concept, and the same question.

    Args:
        edit: The earlier edit.
        kind: Whether its target is another, or the same.
        similarity: How alike the two are, on the method's own scale; for LiveEdit the smaller of
            the two cosines of vision and prompt features, of text-only edits that of the prompt
            features.
    """

    edit: Edit
    kind: Literal["contradicts", "repeats"]
    similarity: float


@dataclass(frozen=True, kw_only=True)
class EditOutcome:
    """What came of a correction.

    Args:
        edit: The edit.
        reached: Whether the model now gives the target, token by token, to its end.
        steps: Gradient steps that took.
        conflicts: Earlier edits about the same, the most alike first.
    """

    edit: Edit
    reached: bool
    steps: int
    conflicts: tuple[Conflict, ...]

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
        values: The other tensors by name, each (batch, ...); see the method's ``layout``.
    """

    outcomes: Sequence[EditOutcome]
    keys: Keys
    values: Mapping[str, Tensor]
