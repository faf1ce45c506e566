"""Settings of SERAC: what is trained, and what happens when a correction is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

from pydantic import Field

from liveedit.config import Config
from liveedit.methods.shared.memory.memory_config import MemoryConfig


class SeracConfig(MemoryConfig):
    """When an edit answers.

    Args:
        supersede: Which earlier edits a correction puts out of force: those that it contradicts
            (``same`` picture and question), ``alike`` ones as well, or ``never`` any.
        same_question: Two questions are the same if the cosine of their keys exceeds this.
        alike: Two corrections are alike, and may contradict each other, if both cosines of their
            keys, of picture and question, exceed this.
        scope: A question is in an edit's scope if its probability exceeds this.
    """

    search_space: ClassVar[Mapping[str, Sequence[object]]] = MappingProxyType(
        {"scope": (0.2, 0.35, 0.5, 0.65, 0.8)}
    )

    scope: float = Field(default=0.5, ge=0.0, le=1.0)


class SeracTraining(Config):
    """Sizes and training of the classifier and the counterfactual model.

    Args:
        key: Width of the classifier's keys.
        width: Of the counterfactual model.
        layers: Its layers.
        heads: Its attention heads.
        longest: Most tokens of a made-up target that it learns to give.
        corrections: Training corrections that both learn from.
        steps: Of each of the two.
        batch: Corrections in a batch.
        rate: Learning rate of Adam.
    """

    key: int = Field(default=128, ge=1)
    width: int = Field(default=128, ge=8)
    layers: int = Field(default=2, ge=1)
    heads: int = Field(default=4, ge=1)
    longest: int = Field(default=24, ge=1)
    corrections: int = Field(default=2000, ge=2)
    steps: int = Field(default=600, ge=1)
    batch: int = Field(default=32, ge=2)
    rate: float = Field(default=1e-3, gt=0.0)
