"""Adapters of PEFT inside a loaded model: which are in force, and a digest of what they add.

peft is looked at only where somebody has imported it: without it no model has an adapter.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from torch import Tensor, nn

from liveedit.backbones.tensor_samples import sampled


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """The adapters in force, which may be several.

    Args:
        names: As the model's owner called them; they are no part of what is compared.
        digest: Of their weights and scales, and of where they are in the model.
    """

    names: tuple[str, ...] = field(compare=False)
    digest: str

    def __str__(self) -> str:
        return " and ".join(repr(name) for name in self.names)


def adapter_in_force(model: nn.Module) -> Adapter | None:
    """What the adapters of a model add to its weights now; None if none does anything.

    An adapter that is merged into the weights for the time being is in force, too.
    """
    digest, names = hashlib.sha256(), set()
    for place, layer in _layers(model):
        for name in in_force(layer):
            own = _tensors(layer, name)
            settings = _settings(layer, name)
            if not own or _adds_nothing(own):
                continue
            names.add(name)
            digest.update(f"{place} {type(layer).__name__} {settings}".encode())
            for path, tensor in sorted(own.items()):
                digest.update(f"{path} {tuple(tensor.shape)}".encode())
            digest.update(sampled(own[path] for path in sorted(own)))
    if not names:
        return None
    return Adapter(names=tuple(sorted(names)), digest=digest.hexdigest()[:16])


def switches(model: nn.Module) -> tuple[object, ...]:
    """What is cheap to compare before every call: names and scales of the adapters in force."""
    return tuple(
        (name, _scale(layer, name)) for _, layer in _layers(model) for name in in_force(layer)
    )


def adapter_parameters(model: nn.Module) -> set[int]:
    """``id`` of every parameter and buffer that belongs to an adapter, in force or not."""
    return {
        id(tensor)
        for _, layer in _layers(model)
        for path, tensor in (*layer.named_parameters(), *layer.named_buffers())
        if path.split(".")[0] in _holders(layer)
    }


def merged_now(model: nn.Module) -> bool:
    """Whether an adapter is merged into the weights of a layer."""
    return any(getattr(layer, "merged_adapters", None) for _, layer in _layers(model))


def in_force(layer: Any) -> list[str]:
    """Adapters of one layer that its next pass will use."""
    if layer.disable_adapters:
        return []
    merged = getattr(layer, "merged_adapters", None)
    return sorted(merged or layer.active_adapters)


def _layers(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """Layers with adapters, by the name the layer has without them."""
    if "peft" not in sys.modules:
        return
    for place, module in model.named_modules():
        if isinstance(module, _adapted_kinds()):
            yield place, module


@cache
def _adapted_kinds() -> tuple[type[Any], ...]:
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    return BaseTunerLayer, AuxiliaryTrainingWrapper


def _holders(layer: Any) -> tuple[str, ...]:
    """Attributes of a layer that hold adapters."""
    return ("modules_to_save", *getattr(layer, "adapter_layer_names", ()))


def _tensors(layer: nn.Module, name: str) -> dict[str, Tensor]:
    """Weights of one adapter in one layer, without the adapter's name in their paths."""
    found = {}
    for path, tensor in (*layer.named_parameters(), *layer.named_buffers()):
        first, *others = path.split(".")
        if first in _holders(layer) and name in others:
            others.remove(name)
            found[".".join((first, *others))] = tensor
    return found


def _adds_nothing(own: dict[str, Tensor]) -> bool:
    """Whether it is a LoRA as it is made: its second factor is zero."""
    second = [tensor for path, tensor in own.items() if "lora_" in path and "_B" in path]
    return bool(second) and not any(tensor.any() for tensor in second)


def _scale(layer: Any, name: str) -> object:
    scales = getattr(layer, "scaling", None)
    return scales.get(name) if isinstance(scales, dict) else None


def _settings(layer: Any, name: str) -> dict[str, object]:
    """Numbers of an adapter that decide what it does, such as its scale."""
    kept = {
        attribute: getattr(layer, attribute, None)
        for attribute in getattr(layer, "other_param_names", ())
    }
    return {
        attribute: values[name]
        for attribute, values in kept.items()
        if isinstance(values, dict) and isinstance(values.get(name), bool | int | float | str)
    }
