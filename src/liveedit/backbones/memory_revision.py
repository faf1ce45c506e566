"""Which weights a model in memory has: those of a folder, or others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from liveedit.backbones.adapters import adapter_parameters
from liveedit.backbones.tensor_samples import sampled
from liveedit.saving.fingerprint import weights_revision
from liveedit.saving.hub import cached_folder

_VALUES = 64  # numbers of a row that are compared
_WRAPPERS = (".base_layer", ".original_module")  # names that an adapter puts into others


def revision_of(model: nn.Module) -> str | None:
    """The revision of a model's own weights, adapters left out.

    Where they are those of the folder or hub id that transformers says the model is from, it is
    that folder's (:func:`liveedit.saving.fingerprint.weights_revision`), so that what was made for
    the folder fits. Otherwise it is a digest of samples of what is in memory. Nothing is fetched.
    """
    folder = origin(model)
    if folder is not None and holds_weights_of(folder, model):
        return weights_revision(folder)
    return memory_revision(model)


def origin(model: nn.Module) -> Path | None:
    """The folder on this machine that transformers says a model is from."""
    name = getattr(model, "name_or_path", "")
    if not name:
        return None
    commit = getattr(getattr(model, "config", None), "_commit_hash", None)
    return cached_folder(name, revision=commit)


def memory_revision(model: nn.Module) -> str | None:
    """Digest of samples of the weights in memory; None if all of them wait elsewhere."""
    own = {_plain_name(name): tensor for name, tensor in _weights(model)}
    digest = hashlib.sha256()
    for name in sorted(own):
        digest.update(f"{name} {tuple(own[name].shape)}".encode())
    digest.update(sampled(own[name] for name in sorted(own)))
    return digest.hexdigest()[:16] if own else None


def holds_weights_of(folder: Path, model: nn.Module) -> bool:
    """Whether a folder's files hold the weights of a model, by samples of each tensor.

    Names do not matter, since transformers renames what it loads; quantised weights are not
    compared.
    """
    dense = [tensor for _, tensor in _weights(model) if _is_dense(tensor)]
    if not dense:
        return False
    dtypes = {tensor.dtype for tensor in dense}
    known: set[tuple[object, ...]] = set()
    try:
        for path in sorted(folder.glob("*.safetensors")):
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 - it is no dictionary
                    part = file.get_slice(name)
                    shape = tuple(part.get_shape())
                    rows = [part[at] for at in _rows(shape)]
                    known.update(
                        _signature(shape, [row.to(dtype) for row in rows]) for dtype in dtypes
                    )
    except (OSError, SafetensorError):
        return False
    found = ((tuple(one.shape), [one[at] for at in _rows(one.shape)]) for one in dense)
    return all(_signature(shape, rows) in known for shape, rows in found)


def _weights(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    adapted = adapter_parameters(model)
    for name, tensor in model.named_parameters():
        if id(tensor) not in adapted and tensor.device.type != "meta":
            yield name, tensor.detach()


def _is_dense(tensor: Tensor) -> bool:
    return type(tensor) is Tensor and tensor.is_floating_point()


def _plain_name(name: str) -> str:
    for wrapper in _WRAPPERS:
        name = name.replace(wrapper, "")
    return name


def _rows(shape: Sequence[int]) -> list[Any]:
    """First, middle and last row; all of a number."""
    if not shape:
        return [...]
    return [slice(at, at + 1) for at in sorted({0, shape[0] // 2, shape[0] - 1})]


def _signature(shape: tuple[int, ...], rows: list[Tensor]) -> tuple[object, ...]:
    values = torch.cat([one.reshape(-1)[:_VALUES] for one in rows]).cpu()
    return shape, values.dtype, values.contiguous().view(torch.uint8).numpy().tobytes()
