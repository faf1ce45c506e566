"""Settings of Transformer-Patcher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

from pydantic import Field

from liveedit.config import Config
from liveedit.methods.outcome import Supersede


class TpConfig(Config):
    """How neurons are trained; rate, memory and silence are those of the authors' code for zsRE.

    Args:
        supersede: Which earlier edits a correction puts out of force: those that it contradicts
            (``same`` picture and question), ``alike`` ones as well, or ``never`` any. None is
            merely alike here.
        layer: Decoder layer whose feed-forward network gets the neurons; the last by default.
        steps: Most gradient steps.
        rate: Learning rate of Adam.
        activation: Weight of the loss that keeps a neuron active at its own token.
        memory: Weight of the losses that keep it silent elsewhere.
        silence: By how much what enters a neuron elsewhere should be below zero (beta), and below
            what enters it at its own token (gamma).
        hardest: Of the tokens elsewhere only so many count, those that excite a neuron the most.
        margin: Steps end when the logit of every target token exceeds all others by this.
    """

    search_space: ClassVar[Mapping[str, Sequence[object]]] = MappingProxyType(
        {"rate": (0.003, 0.01, 0.03), "memory": (0.1, 1.0, 10.0), "silence": (0.5, 1.0, 3.0)}
    )

    supersede: Supersede = "same"
    layer: int | None = Field(default=None, ge=0)
    steps: int = Field(default=500, ge=0)
    rate: float = Field(default=0.01, gt=0.0)
    activation: float = Field(default=1.0, ge=0.0)
    memory: float = Field(default=10.0, ge=0.0)
    silence: float = Field(default=3.0, ge=0.0)
    hardest: int = Field(default=64, ge=1)
    margin: float = Field(default=1.0, ge=0.0)
