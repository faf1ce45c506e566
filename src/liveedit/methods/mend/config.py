"""Settings of MEND: of its network, its training, and of how corrections are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import Field

from liveedit.config import Config
from liveedit.methods.shared.weights.weight_method import WeightConfig


class MendConfig(WeightConfig):
    """How a correction is made.

    Args:
        strength: What the learned edit rates are multiplied by.
    """

    search_space: ClassVar[Mapping[str, Sequence[object]]] = {
        "strength": (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
    }

    strength: float = Field(default=1.0, gt=0.0)


class MendNetworkConfig(Config):
    """Size of the network.

    Args:
        layers: So many decoder layers are changed, the last ones.
        rank: Of each of its two residual layers.
        rate: Edit rates begin with it.
    """

    layers: int = Field(default=3, ge=1)
    rank: int = Field(default=256, ge=1)
    rate: float = Field(default=1e-2, gt=0.0)


class MendTraining(Config):
    """How the network is trained.

    Args:
        steps: Of Adam, one example each.
        learning_rate: Of the network; both rates rise over the first twentieth of the steps and
            then fall to zero.
        rate_learning_rate: Of the logarithms of the edit rates.
        edit: Weight of the cross entropy of targets; both weights are the authors'.
        locality: Weight of the divergence from the unedited model.
        clip: Gradients are clipped to this norm.
        seed: Of initial weights, and of the order of examples.
    """

    steps: int = Field(default=5000, ge=1)
    learning_rate: float = Field(default=3e-4, gt=0.0)
    rate_learning_rate: float = Field(default=1e-2, gt=0.0)
    edit: float = Field(default=0.1, gt=0.0)
    locality: float = Field(default=1.0, ge=0.0)
    clip: float = Field(default=1.0, gt=0.0)
    seed: int = 0
