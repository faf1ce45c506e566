"""Masks that edits learn in, and how what was learned in several of them is merged."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def mask_of(number: int, shape: tuple[int, int], density: float) -> Bool[Tensor, "high wide"]:
    """A random mask, always the same for a number.

    Args:
        number: Of the mask.
        shape: Of the matrix.
        density: Share of it that is let through.
    """
    random = torch.Generator().manual_seed(number)
    return torch.rand(shape, generator=random) < density


def merged(
    changes: Sequence[Float[Tensor, "high wide"]], trim: float
) -> Float[Tensor, "high wide"]:
    """Several changes of one matrix as one, by TIES (Yadav et al., NeurIPS 2023).

    Of each only the largest numbers are kept; each place takes the sign of the sum there, and the
    mean of those that have this sign.

    Args:
        changes: At least one.
        trim: Share of the matrix that is kept of each.
    """
    kept = torch.stack([_largest(one, trim) for one in changes])
    sign = kept.sum(0).sign()
    agree = (kept.sign() == sign) & (kept != 0)
    return (kept * agree).sum(0) / agree.sum(0).clamp(min=1)


def _largest(one: Float[Tensor, "high wide"], share: float) -> Float[Tensor, "high wide"]:
    drop = one.numel() - max(1, round(share * one.numel()))
    if int((one == 0).sum()) >= drop:
        return one
    least = one.abs().flatten().kthvalue(drop).values
    return torch.where(one.abs() > least, one, 0.0)
