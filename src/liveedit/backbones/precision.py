"""Which dtype a device computes in fast, and which a model has."""

from __future__ import annotations

import torch
from torch import nn


def fast_dtype(device: str | torch.device) -> torch.dtype:
    """bfloat16 where the hardware computes in it, float32 elsewhere.

    A CPU without instructions for bfloat16 emulates it, several times slower than float32.
    """
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if kind == "cpu":
        can = torch.cpu.get_capabilities()
        native = any(can.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
        return torch.bfloat16 if native else torch.float32
    return torch.bfloat16


def dtype_of(layer: nn.Module, otherwise: torch.dtype) -> torch.dtype:
    """The dtype of a layer's numbers.

    Args:
        layer: A decoder layer.
        otherwise: Where it has none with a point.
    """
    floats = (one.dtype for one in layer.parameters() if one.is_floating_point())
    return next(floats, otherwise)


def precision_of(dtype: torch.dtype, quantised: str | None) -> str:
    """A dtype in words, and by which method weights are quantised if they are."""
    name = str(dtype).removeprefix("torch.")
    return name if quantised is None else f"{name}, {quantised}"
