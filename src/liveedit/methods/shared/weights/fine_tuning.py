"""Fine-tuning of one module: what ``ft-l`` and ``ft-m`` share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from liveedit.backbones.linears import linear_path
from liveedit.correction import Correction
from liveedit.methods.shared.weights.target_pass import TargetPass
from liveedit.methods.shared.weights.weight_change import Changes, Dense, Values
from liveedit.methods.shared.weights.weight_method import Learned, WeightConfig, WeightMethod
from liveedit.store.layout import Shapes


class FineTuningConfig(WeightConfig):
    """How a correction is learned.

    Args:
        layer: Index of the decoder layer whose down-projection is tuned; the last by default.
        rate: Learning rate of AdamW, without weight decay.
        steps: Gradient steps at most.
        enough: The steps end when the loss, in nats a token, is below this.
    """

    layer: int | None = Field(default=None, ge=0)
    rate: float = Field(default=1e-3, gt=0.0)
    steps: int = Field(default=25, ge=1)
    enough: float = Field(default=1e-2, gt=0.0)


C = TypeVar("C", bound=FineTuningConfig)
_DELTA = "delta"


class FineTuning(WeightMethod[C]):
    """The down-projection of one feed-forward network, tuned on each correction in turn."""

    def find_paths(self) -> Sequence[str]:
        """The down-projection of the chosen layer."""
        path = linear_path(self.backbone, self.chosen_layer(self.config.layer), "down")
        if path is None:
            raise self.cannot_edit("feed-forward network with one down-projection")
        return [path]

    def value_shapes(self) -> Shapes:
        """The change of the whole matrix."""
        return {_DELTA: self.sizes(self.paths[0])}

    def plus(self, changes: Changes, values: Values) -> Changes:
        """Changes add up, in float32."""
        (path,) = self.paths
        before, more = changes.get(path), values[_DELTA].to(self.backbone.edit_device).float()
        assert before is None or isinstance(before, Dense)
        return {path: Dense(weight=more if before is None else before.weight + more)}

    def learn(
        self, target: TargetPass, correction: Correction, before: Changes, count: int
    ) -> Learned:
        """Steps of AdamW on the target's tokens."""
        del correction, count
        (path,) = self.paths
        there = before.get(path)
        assert there is None or isinstance(there, Dense)
        delta = torch.zeros(self.sizes(path), device=self.backbone.edit_device)
        delta.requires_grad_()
        base = torch.zeros_like(delta) if there is None else there.weight.to(delta.device)
        optimiser = torch.optim.AdamW([delta], lr=self.config.rate, weight_decay=0.0)
        steps = 0
        with torch.enable_grad():
            while True:
                loss = target.loss({path: Dense(weight=base + delta)})
                if loss.item() < self.config.enough or steps == self.config.steps:
                    break
                (delta.grad,) = torch.autograd.grad(loss, delta)
                optimiser.step()
                with torch.no_grad():
                    self.constrain(delta)
                steps += 1
        return Learned(values={_DELTA: delta.detach().half().cpu()}, steps=steps)

    def constrain(self, delta: Float[Tensor, "high wide"]) -> None:
        """Keep a change within bounds, in place; there are none by default."""
