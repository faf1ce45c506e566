"""Bytes of an edit: safetensors that are checked for everything when they are read.

Safetensors itself accepts doubled keys and NaN, and knows neither which tensors should be there nor
of what shape.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping

import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import save
from safetensors.torch import load
from torch import Tensor

from liveedit.correction.images import Pictures, as_sequence
from liveedit.store.layout import Shapes

_DTYPES = (torch.float16, torch.float32)
_THUMBNAIL = 256  # pixels of the longer side


class BadBytes(Exception):
    """What is wrong with some bytes."""


def pack(tensors: Mapping[str, Tensor]) -> bytes:
    """Tensors as safetensors: half precision stays, all else becomes float32."""
    # not safetensors.torch, which looks for shared memory at several times the cost
    return save({name: stored(tensor).numpy() for name, tensor in tensors.items()})


def stored(tensor: Tensor) -> Tensor:
    """A tensor in a dtype that is kept, on the CPU."""
    tensor = tensor.detach().cpu().contiguous()
    return tensor if tensor.dtype == torch.float16 else tensor.float()


def unpack(data: bytes, shapes: Shapes) -> dict[str, Tensor]:
    """Tensors that are as they should be.

    Args:
        data: What :func:`pack` gave.
        shapes: The shape of each tensor; a first size of None is any, and the same in all.

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
    rows: int | None = None
    for name, tensor in tensors.items():
        wanted = list(shapes[name])
        if wanted[0] is None and tensor.ndim:
            rows = len(tensor) if rows is None else rows
            wanted[0] = rows or None  # none at all is no expert
        if tensor.dtype not in _DTYPES or list(tensor.shape) != wanted:
            raise BadBytes(f"{name} is {tensor.dtype} of shape {list(tensor.shape)}")
        if not torch.isfinite(tensor).all():
            raise BadBytes(f"{name} holds NaN or infinity")
    return tensors


def thumbnail(pictures: Pictures) -> bytes:
    """A small WEBP for people to look at; several pictures stand side by side."""
    small = []
    for picture in as_sequence(pictures):
        small.append(picture.convert("RGB"))
        small[-1].thumbnail((_THUMBNAIL, _THUMBNAIL))
    strip = Image.new(
        "RGB", (sum(one.width for one in small), max(one.height for one in small)), "white"
    )
    left = 0
    for one in small:
        strip.paste(one, (left, 0))
        left += one.width
    written = io.BytesIO()
    strip.save(written, "WEBP", quality=80)
    return written.getvalue()


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise ValueError("a name occurs twice")
    return dict(pairs)
