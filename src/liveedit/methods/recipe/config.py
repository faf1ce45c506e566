"""Settings of RECIPE: what is trained, and what happens when a correction is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

from pydantic import Field

from liveedit.config import Config
from liveedit.methods.shared.memory.memory_config import MemoryConfig


class RecipeConfig(MemoryConfig):
    """When an edit is found.

    Args:
        supersede: Which earlier edits a correction puts out of force: those that it contradicts
            (``same`` picture and question), ``alike`` ones as well, or ``never`` any.
        same_question: Two questions are the same if the cosine of their embeddings exceeds this.
        alike: Two corrections are alike, and may contradict each other, if the cosine of their
            knowledge exceeds this.
        margin: By how much an edit must be nearer to a question than the sentinel is.
    """

    search_space: ClassVar[Mapping[str, Sequence[object]]] = MappingProxyType(
        {"margin": (-0.1, -0.05, 0.0, 0.05, 0.1)}
    )

    margin: float = 0.0


class RecipeTraining(Config):
    """Sizes and training of the encoders.

    Args:
        key: Width of what questions and knowledge are compared by.
        width: Of the prompt encoder.
        layers: Its layers.
        heads: Its attention heads.
        shared: Prompt tokens that are the same for every correction.
        tokens: Further ones, which each correction has of its own.
        corrections: Training corrections.
        steps: Of the prompt encoder, through the backbone.
        retrieval_steps: Of the encoders that questions and knowledge are compared by.
        batch: Corrections in a batch of the former.
        retrieval_batch: Of the latter.
        rate: Learning rate of Adam.
        locality: Weight of the divergence behind prompts that do not concern the question.
        temperature: Of the contrastive losses.
        dropout: Of what questions and knowledge are compared by; without it, what was trained on
            is found and little else.
    """

    key: int = Field(default=256, ge=1)
    width: int = Field(default=128, ge=8)
    layers: int = Field(default=1, ge=1)
    heads: int = Field(default=4, ge=1)
    shared: int = Field(default=4, ge=0)
    tokens: int = Field(default=8, ge=1)
    corrections: int = Field(default=4000, ge=2)
    steps: int = Field(default=1200, ge=1)
    retrieval_steps: int = Field(default=4000, ge=1)
    batch: int = Field(default=8, ge=2)
    retrieval_batch: int = Field(default=64, ge=2)
    rate: float = Field(default=2e-3, gt=0.0)
    locality: float = Field(default=0.3, ge=0.0)
    temperature: float = Field(default=0.05, gt=0.0)
    dropout: float = Field(default=0.2, ge=0.0, lt=1.0)
