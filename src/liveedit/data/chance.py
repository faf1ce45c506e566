"""Drawing one of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

_T = TypeVar("_T")


def any_of(choices: Sequence[_T], random: np.random.Generator) -> _T:
    """One of the choices, each as likely, as it is: numpy's own would make an array of them."""
    return choices[int(random.integers(len(choices)))]
