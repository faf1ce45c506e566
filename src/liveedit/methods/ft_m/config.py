"""Settings of FT-M."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from liveedit.methods.shared.weights.fine_tuning import FineTuningConfig


class FineTuningMConfig(FineTuningConfig):
    """How FT-M learns a correction: see the fields of fine-tuning."""

    search_space: ClassVar[Mapping[str, Sequence[object]]] = {
        "rate": (1e-4, 3e-4, 1e-3, 3e-3),
        "steps": (25, 50),
        "enough": (1e-2, 1e-1),
    }
