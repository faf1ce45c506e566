"""Settings of FT-L."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import Field

from liveedit.methods.shared.weights.fine_tuning import FineTuningConfig


class FineTuningLConfig(FineTuningConfig):
    """How FT-L learns a correction.

    Args:
        norm: How far each number of the matrix may be moved by one edit.
    """

    search_space: ClassVar[Mapping[str, Sequence[object]]] = {
        "rate": (3e-4, 1e-3, 3e-3),
        "steps": (25, 50),
        "norm": (1e-3, 3e-3, 1e-2),
    }

    norm: float = Field(default=5e-3, gt=0.0)
