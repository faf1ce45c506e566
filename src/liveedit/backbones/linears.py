"""Where a decoder layer has its linear modules, whatever the family calls them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from torch import nn

from liveedit.backbones.base import Backbone

Role: TypeAlias = Literal["down", "up", "gate", "query", "value"]

# names under a decoder layer, of LLaMA, Qwen and Gemma first, then of OPT and its like
_NAMES: dict[Role, tuple[str, ...]] = {
    "down": ("mlp.down_proj", "fc2", "mlp.fc2"),
    "up": ("mlp.up_proj", "fc1", "mlp.fc1"),
    "gate": ("mlp.gate_proj",),
    "query": ("self_attn.q_proj",),
    "value": ("self_attn.v_proj",),
}


def linear_path(backbone: Backbone, layer: int, role: Role) -> str | None:
    """The path under the decoder of a linear module of a layer; None if it has none.

    Mixtures of experts have many in the place of one, and no such path.

    Args:
        backbone: The model.
        layer: Index of the decoder layer.
        role: ``down`` and ``up`` (and ``gate``, where there is one) are the feed-forward network's,
            ``query`` and ``value`` the attention's.
    """
    module = backbone.decoder.layers[layer]
    for name in _NAMES[role]:
        found = _at(module, name)
        if found is not None and hasattr(found, "in_features"):
            return f"layers.{layer}.{name}"
    return None


def linear_sizes(backbone: Backbone, path: str) -> tuple[int, int]:
    """How many numbers a linear module gives, and how many it takes."""
    module: Any = backbone.decoder.get_submodule(path)
    return module.out_features, module.in_features


def feed_forward_paths(backbone: Backbone, layers: Sequence[int]) -> list[str]:
    """Paths of all linear modules of the feed-forward networks of some layers, in their order."""
    roles: tuple[Role, ...] = ("gate", "up", "down")
    found = [linear_path(backbone, layer, role) for layer in layers for role in roles]
    return [path for path in found if path is not None]


def _at(module: nn.Module, path: str) -> nn.Module | None:
    try:
        return module.get_submodule(path)
    except AttributeError:
        return None
