"""Experts are added more strongly after long prompts, whose many words outvote them."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

_SHORT = 64  # tokens of a prompt, as experts are trained with


def context_gain(length: Int[Tensor, " batch"], doubling: float) -> Float[Tensor, " batch"]:
    """What experts are multiplied with: ``1 + doubling * log2(length / 64)``, at least 1.

    Args:
        length: Tokens of each prompt behind its picture.
        doubling: Added for every doubling of the length.
    """
    return 1 + doubling * torch.log2(length / _SHORT).clamp(min=0.0)
