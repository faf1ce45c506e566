"""Samples of weights: enough to tell models apart, few enough to be read in a moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

_SAMPLES = 64  # numbers of each tensor


def sampled(tensors: Iterable[Tensor]) -> bytes:
    """Evenly spread numbers of each tensor, rounded to bfloat16.

    The same weights in float32 and in bfloat16 give the same. What is on no device is left out.
    """
    parts = [part for tensor in tensors for part in plain_parts(tensor)]
    parts = [part for part in parts if part.device.type != "meta" and part.numel()]
    values = [_spread(part) for part in parts]
    found = [b""] * len(values)
    for device in {one.device for one in values}:
        here = [number for number, one in enumerate(values) if one.device == device]
        together = torch.cat([values[number] for number in here]).cpu()  # one transfer
        for number, own in zip(here, together.split([len(values[n]) for n in here]), strict=True):
            found[number] = own.view(torch.uint8).numpy().tobytes()
    return b"".join(found)


def plain_parts(tensor: Tensor) -> Iterator[Tensor]:
    """The tensor itself, or what a quantised one is made of."""
    flatten = getattr(tensor, "__tensor_flatten__", None)
    if flatten is None:
        yield tensor.detach()
        return
    for name in flatten()[0]:
        part = getattr(tensor, name, None)
        if isinstance(part, Tensor):
            yield from plain_parts(part)


def _spread(tensor: Tensor) -> Tensor:
    """Some numbers of a tensor, in bfloat16."""
    flat = tensor.contiguous().reshape(-1)
    count = min(flat.numel(), _SAMPLES)
    at = torch.arange(count, device=flat.device) * (flat.numel() - 1) // max(count - 1, 1)
    return flat[at].to(torch.bfloat16)
