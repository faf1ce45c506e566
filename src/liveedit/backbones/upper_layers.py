"""The decoder with only the layers above the edit layer; weights are shared."""

from __future__ import annotations

import copy

from torch import Tensor, nn


class _KnownOutput(nn.Module):
    """Stands for the edit layer, whose output is known."""

    def __init__(self, hidden: Tensor) -> None:
        super().__init__()
        self.hidden = hidden

    def forward(self, _hidden: Tensor, *_args: object, **_others: object) -> Tensor:
        return self.hidden


class _SkippedLayer(nn.Module):
    """Stands for a layer below it."""

    def forward(self, hidden: Tensor, *_args: object, **_others: object) -> Tensor:
        return hidden


def upper_layers(decoder: nn.Module, edit_layer: int, hidden: Tensor) -> nn.Module:
    """A decoder that goes on from known states; each layer stays at its index.

    Masks, positions and what else a decoder makes for its layers it makes as ever; it may depend
    on a layer's index.

    Args:
        decoder: Has the decoder layers as ``layers``; it is not changed.
        edit_layer: Index of the layer that the states leave.
        hidden: The states; (batch, length, width).
    """
    above = copy.copy(decoder)
    above._modules = dict(decoder._modules)
    for name in ("forward", "_hf_hook"):  # of accelerate, bound to the decoder itself
        above.__dict__.pop(name, None)
    above.layers = nn.ModuleList(
        [
            *(_SkippedLayer() for _ in range(edit_layer)),
            _KnownOutput(hidden),
            *decoder.layers[edit_layer + 1 :],  # type: ignore[index]
        ]
    )
    return above
