"""Places as sines and cosines (Vaswani et al., 2017)."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

_LONGEST = 10_000.0  # period


def sinusoids(places: Int[Tensor, "*batch"], width: int) -> Float[Tensor, "*batch width"]:
    """Sines and cosines of places, as transformers have them."""
    half = width // 2
    periods = torch.arange(half, device=places.device) / max(half - 1, 1)
    angles = places[..., None] * _LONGEST**-periods
    waves = torch.cat([angles.sin(), angles.cos()], -1)
    return F.pad(waves, (0, width - waves.shape[-1]))
