"""Operators of PyTorch: what is added to the states of a step, and the edit layer as a whole.

A compiled model calls an operator as one opaque piece, as it does vLLM's attention: what happens
within is neither traced nor guarded. Both change the states in place.
"""

from __future__ import annotations

import weakref
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional as F

from liveedit.methods.liveedit.representation import StateScale, standardise


@runtime_checkable
class ChangesStates(Protocol):
    """Something that knows what to do with the output of a layer."""

    def change(self, hidden: Tensor, residual: Tensor | None) -> None:
        """Change the states in place.

        Args:
            hidden: Output of the layer, (tokens, width).
            residual: What the next layer adds to it, if the model keeps that apart.
        """


_layers: weakref.WeakValueDictionary[str, ChangesStates] = weakref.WeakValueDictionary()


def register_layer(name: str, layer: ChangesStates) -> None:
    """Have :func:`edit_layer` find a layer by its name, for as long as it lives."""
    _layers[name] = layer


@torch.library.custom_op(
    "liveedit::edit_layer",
    mutates_args=("hidden",),
    schema="(Tensor(a0!) hidden, Tensor? residual, str layer) -> ()",
)
def edit_layer(hidden: Tensor, residual: Tensor | None, layer: str) -> None:
    """Change the output of a layer that was registered; without one nothing happens."""
    found = _layers.get(layer)
    if found is not None:
        found.change(hidden, residual)


@torch.library.custom_op(
    "liveedit::add_experts",
    mutates_args=("hidden",),
    schema="(Tensor(a0!) hidden, Tensor? residual, Tensor tokens, Tensor owners, Tensor shares, "
    "Tensor mean, Tensor deviation, Tensor u, Tensor v, Tensor weights, Tensor owner) -> ()",
)
def add_experts(
    hidden: Tensor,
    residual: Tensor | None,
    tokens: Tensor,
    owners: Tensor,
    shares: Tensor,
    mean: Tensor,
    deviation: Tensor,
    u: Tensor,
    v: Tensor,
    weights: Tensor,
    owner: Tensor,
) -> None:
    """Add to some tokens the weighted experts of the requests they belong to.

    ``h += share * unit * sum_e w_e ReLU(h U_e^T / width) V_e``, as
    :func:`liveedit.methods.liveedit.experts.apply_experts` does for rows of a padded batch: here
    all tokens are multiplied with all slots, and what belongs to other requests counts zero.

    Args:
        hidden: Output of the edit layer, (tokens, width); no other token is touched.
        residual: What the next layer adds to it, or None.
        tokens: Which tokens, (some,).
        owners: The request that each of these belongs to, (some,).
        shares: Of what is added, how much each of these gets, (some,), float32.
        mean: Of the backbone's scale, (width,).
        deviation: The same.
        u: Slots of experts, (slots, width), float32.
        v: The same.
        weights: Of each slot, (slots,), float32.
        owner: The request that each slot belongs to, (slots,).
    """
    states = hidden[tokens]
    whole = states if residual is None else states + residual[tokens]
    scale = StateScale(mean=mean, deviation=deviation)
    activation = F.relu(standardise(whole, scale) @ u.T / u.shape[1])
    own = torch.where(owners[:, None] == owner, weights, 0.0)
    added = shares[:, None] * ((activation * own) @ v)
    hidden[tokens] = states + (scale.unit * added).to(states.dtype)
