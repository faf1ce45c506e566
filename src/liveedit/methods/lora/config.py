"""Settings of LoRA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import Field

from liveedit.methods.shared.weights.weight_method import WeightConfig


class LoraMethodConfig(WeightConfig):
    """How a correction is learned.

    Args:
        adapter: ``each`` correction has an adapter of its own, beside those before it; or there is
            ``one``, which goes on learning.
        rank: Of the adapter.
        alpha: Its scale, divided by the rank.
        rate: Learning rate of Adam; the default is the LoRA paper's for GPT-2.
        steps: Gradient steps at most.
        enough: The steps end when the loss, in nats a token, is below this.
    """

    search_space: ClassVar[Mapping[str, Sequence[object]]] = {
        "adapter": ("each", "one"),
        "rate": (1e-5, 3e-5, 1e-4, 2e-4, 5e-4),
        "steps": (10, 25, 50),
    }

    adapter: Literal["each", "one"] = "each"
    rank: int = Field(default=8, ge=1)
    alpha: float = Field(default=32.0, gt=0.0)
    rate: float = Field(default=2e-4, gt=0.0)
    steps: int = Field(default=50, ge=1)
    enough: float = Field(default=1e-2, gt=0.0)
