"""Settings of GRACE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

from pydantic import Field

from liveedit.config import Config
from liveedit.methods.outcome import Supersede


class GraceConfig(Config):
    """How keys and values are made.

    Args:
        supersede: Which earlier edits a correction puts out of force: those that it contradicts
            (``same`` picture and question), ``alike`` ones as well, or ``never`` any.
        layer: Decoder layer whose feed-forward network is edited; the edit layer by default.
        radius: Of a new key (epsilon): Euclidean distance of what enters the network.
        steps: Most gradient steps on a value.
        rate: Learning rate of Adam on it.
        margin: Steps end when the logit of every target token exceeds all others by this.
    """

    search_space: ClassVar[Mapping[str, Sequence[object]]] = MappingProxyType(
        {"radius": (0.5, 1.0, 2.0, 4.0, 8.0), "rate": (0.03, 0.1, 0.3, 1.0)}
    )

    supersede: Supersede = "same"
    layer: int | None = Field(default=None, ge=0)
    radius: float = Field(default=0.5, gt=0.0)
    steps: int = Field(default=100, ge=0)
    rate: float = Field(default=1.0, gt=0.0)
    margin: float = Field(default=1.0, ge=0.0)
