"""Settings of LTE: what is trained, and how corrections are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

from pydantic import Field

from liveedit.config import Config
from liveedit.methods.shared.memory.memory_config import MemoryConfig


class LteConfig(MemoryConfig):
    """When an edit is told, and how strongly the model is tuned.

    Args:
        supersede: Which earlier edits a correction puts out of force: those that it contradicts
            (``same`` picture and question), ``alike`` ones as well, or ``never`` any.
        same_question: Two questions are the same if the cosine of their keys exceeds this.
        alike: Two corrections are alike, and may contradict each other, if both cosines of their
            keys, of picture and question, exceed this.
        strength: What the low-rank change is multiplied by.
    """

    search_space: ClassVar[Mapping[str, Sequence[object]]] = MappingProxyType(
        {"strength": (0.5, 0.75, 1.0, 1.25)}
    )

    strength: float = Field(default=1.0, ge=0.0)


class LteTraining(Config):
    """The tuning.

    Args:
        form: How a correction is told: ``{prompt}`` and ``{target}`` are its own, ``{question}`` is
            what is asked.
        rank: Of the change of each query and value projection.
        alpha: Its scale, divided by the rank.
        corrections: Training corrections.
        steps: How many.
        batch: Questions in a batch, a third of which the told correction does not concern.
        rate: Learning rate of Adam.
        locality: Weight of the divergence from the unedited model there.
    """

    form: str = "[Updated Information] {prompt} {target}\n[Query] {question}"
    rank: int = Field(default=8, ge=1)
    alpha: float = Field(default=16.0, gt=0.0)
    corrections: int = Field(default=2400, ge=2)
    steps: int = Field(default=1200, ge=1)
    batch: int = Field(default=8, ge=3)
    rate: float = Field(default=1e-3, gt=0.0)
    locality: float = Field(default=1.0, ge=0.0)
