"""Which dtype a device computes in fast."""

from __future__ import annotations

import torch


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
