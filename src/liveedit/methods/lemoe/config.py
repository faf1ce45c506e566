"""Settings of LEMoE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

from pydantic import Field

from liveedit.config import Config
from liveedit.methods.outcome import Supersede


class LemoeConfig(Config):
    """How experts are learned, and which questions they answer.

    Args:
        supersede: Which earlier edits a correction puts out of force: those that it contradicts
            (``same`` picture and question), ``alike`` ones as well, or ``never`` any. None is
            merely alike here.
        layer: Decoder layer whose feed-forward network gets the experts; the last but one by
            default.
        per_expert: So many edits make a batch: they share an expert, which is frozen afterwards.
        rank: Hidden width of an expert.
        steps: Most gradient steps on an edit.
        rate: Learning rate of Adam.
        enough: Steps end when the loss, in nats a token, is below this.
        remember: Weight of what an expert gave at the tokens of the edits that share it.
        clusters: So many keys stand for the questions of an expert, at most.
        scope: The cosine of a question and an expert's nearest key must exceed this; -1 sends every
            question to an expert.
    """

    search_space: ClassVar[Mapping[str, Sequence[object]]] = MappingProxyType(
        {
            "per_expert": (1, 10),
            "rate": (1e-3, 3e-3, 1e-2),
            "scope": (0.5, 0.7, 0.8, 0.9, 0.95),
        }
    )

    supersede: Supersede = "same"
    layer: int | None = Field(default=None, ge=0)
    per_expert: int = Field(default=1, ge=1)
    rank: int = Field(default=32, ge=1)
    steps: int = Field(default=100, ge=0)
    rate: float = Field(default=3e-3, gt=0.0)
    enough: float = Field(default=0.03, gt=0.0)
    remember: float = Field(default=1.0, ge=0.0)
    clusters: int = Field(default=3, ge=1)
    scope: float = Field(default=0.8, ge=-1.0, lt=1.0)
