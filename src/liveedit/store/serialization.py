"""Bytes of an edit: safetensors that are checked for everything when they are read.

Safetensors itself accepts doubled keys and NaN, and knows neither which tensors should be there nor
of what shape.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence

import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import save
from safetensors.torch import load
from torch import Tensor

_THUMBNAIL = 256  # pixels of the longer side


class BadBytes(Exception):
    """What is wrong with some bytes."""


def pack(tensors: Mapping[str, Tensor]) -> bytes:
    """Tensors as safetensors, float32."""
    # not safetensors.torch, which looks for shared memory at several times the cost
    return save({name: tensor.detach().float().cpu().numpy() for name, tensor in tensors.items()})


def unpack(data: bytes, shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """Tensors that are as they should be.

    Args:
        data: What :func:`pack` gave.
        shapes: The shape of each tensor, all float32.

    Raises:
        BadBytes: Not safetensors, or other keys, dtypes or shapes, or not finite.
    """
    try:
        tensors = load(data)
        header = json.loads(
            data[8 : 8 + int.from_bytes(data[:8], "little")], object_pairs_hook=_once
        )
    except (SafetensorError, ValueError) as error:
        raise BadBytes(f"no safetensors: {error}") from error
    if set(header) - {"__metadata__"} != set(shapes):
        raise BadBytes(f"holds {sorted(header)}, not {sorted(shapes)}")
    for name, tensor in tensors.items():
        if tensor.dtype != torch.float32 or list(tensor.shape) != list(shapes[name]):
            raise BadBytes(f"{name} is {tensor.dtype} of shape {list(tensor.shape)}")
        if not torch.isfinite(tensor).all():
            raise BadBytes(f"{name} holds NaN or infinity")
    return tensors


def thumbnail(picture: Image.Image) -> bytes:
    """A small WEBP for people to look at."""
    small = picture.convert("RGB")
    small.thumbnail((_THUMBNAIL, _THUMBNAIL))
    written = io.BytesIO()
    small.save(written, "WEBP", quality=80)
    return written.getvalue()


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise ValueError("a name occurs twice")
    return dict(pairs)
