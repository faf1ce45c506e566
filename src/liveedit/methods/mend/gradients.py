"""What a correction's loss says of linear modules: their inputs, and gradients of their outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from liveedit.methods.shared.weights.target_pass import TargetPass
from liveedit.methods.shared.weights.weight_change import Changes, on_top


@dataclass(frozen=True, kw_only=True)
class Gradient:
    """Of one module; the gradient of its weight is the sum of ``outputs^T inputs``.

    Args:
        inputs: What it takes at each edited token.
        outputs: Gradient of the loss with respect to what it gives there.
    """

    inputs: Float[Tensor, "tokens wide"]
    outputs: Float[Tensor, "tokens high"]


class _Probe:
    """Adds nothing, and knows afterwards what the loss thinks of that."""

    def __init__(self, high: int) -> None:
        self.high = high
        self.inputs = self.outputs = torch.empty(0)

    def added(self, inputs: Float[Tensor, "*batch wide"]) -> Float[Tensor, "*batch high"]:
        self.inputs = inputs.detach().float()
        shape = (*inputs.shape[:-1], self.high)
        self.outputs = torch.zeros(shape, device=inputs.device, requires_grad=True)
        return self.outputs


def gradients(
    target: TargetPass, before: Changes, sizes: Mapping[str, tuple[int, int]]
) -> dict[str, Gradient]:
    """One backward pass of the loss of a target, at the positions that predict its tokens.

    Args:
        target: Of one correction, or several.
        before: What is in force.
        sizes: How many numbers each module gives and takes, by its path.
    """
    probes = {path: _Probe(high) for path, (high, _) in sizes.items()}
    with torch.enable_grad():
        loss = target.loss(on_top(before, probes))
        found = torch.autograd.grad(loss, [probe.outputs for probe in probes.values()])
    return {
        path: Gradient(
            inputs=_at(probe.inputs, target.keep), outputs=_at(outputs.detach(), target.keep)
        )
        for (path, probe), outputs in zip(probes.items(), found, strict=True)
    }


def _at(
    tensor: Float[Tensor, "*batch width"], keep: Bool[Tensor, "batch length"]
) -> Float[Tensor, "kept width"]:
    """Rows of some positions; a module may take all positions in one long row."""
    flat = tensor.reshape(-1, tensor.shape[-1])
    return flat[keep.reshape(-1).to(flat.device)]
