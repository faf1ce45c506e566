"""LoRA behind the contract of an editing method: adapters on queries and values.

Each correction is learned with low-rank factors on the query and value projections of all layers
(Hu et al., ICLR 2022), made and scaled by peft. The adapters are never put into the model: what
they give is added to the projections' outputs, in the calling thread alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from liveedit.backbones.base import Backbone
from liveedit.backbones.linears import linear_path
from liveedit.correction import Correction
from liveedit.methods.lora.config import LoraMethodConfig
from liveedit.methods.shared.weights.factors import (
    factor_shapes,
    factors_of,
    stored_factors,
    summed,
)
from liveedit.methods.shared.weights.peft_factors import check_peft, new_factors
from liveedit.methods.shared.weights.target_pass import TargetPass
from liveedit.methods.shared.weights.weight_change import (
    Changes,
    LowRank,
    SummedRanks,
    Values,
    on_top,
)
from liveedit.methods.shared.weights.weight_method import Learned, WeightMethod
from liveedit.store.layout import Shapes


class Lora(WeightMethod[LoraMethodConfig]):
    """An adapter for each correction, or one that goes on learning.

    Args:
        backbone: The frozen model.
        config: How corrections are made.

    Raises:
        MissingExtra: peft is not installed.
        MethodCannot: The model has no such projections.
    """

    name = "lora"
    config_class = LoraMethodConfig

    def __init__(self, backbone: Backbone, config: LoraMethodConfig | None = None) -> None:
        check_peft()
        super().__init__(backbone, config)

    @property
    def learned(self) -> dict[str, object]:
        """Which modules have adapters, and how these go together."""
        return super().learned | {"adapter": self.config.adapter}

    @property
    def rows(self) -> int:
        """The adapter's rank."""
        return self.config.rank

    def find_paths(self) -> Sequence[str]:
        """Query and value projections of all layers."""
        found = [
            linear_path(self.backbone, layer, role)
            for layer in range(self.backbone.layers)
            for role in ("query", "value")
        ]
        paths = [path for path in found if path is not None]
        if len(paths) < len(found):
            raise self.cannot_edit("query and value projections of their own")
        return paths

    def value_shapes(self) -> Shapes:
        """Both factors of each module; as many rows as the adapter's rank."""
        return factor_shapes(self.paths, self.sizes)

    def plus(self, changes: Changes, values: Values) -> Changes:
        """Adapters add up; of one that goes on learning the last state counts."""
        own = factors_of(values, self.paths, self.backbone.edit_device)
        if self.config.adapter == "one":
            return {path: SummedRanks(joined=one) for path, one in own.items()}
        return summed(changes, own)

    def learn(
        self, target: TargetPass, correction: Correction, before: Changes, count: int
    ) -> Learned:
        """Steps of Adam on both factors of all modules."""
        del correction
        factors, scale = new_factors(
            {path: self.sizes(path) for path in self.paths},
            rank=self.config.rank,
            alpha=self.config.alpha,
            seed=count,
        )
        beside = before
        if self.config.adapter == "one" and before:
            beside = {}
            for path, one in before.items():
                assert isinstance(one, SummedRanks)
                last = one.joined
                assert last is not None
                factors[path] = (last.reads, last.writes.T / scale)
        device = self.backbone.edit_device
        own = {
            path: tuple(part.clone().to(device).requires_grad_() for part in parts)
            for path, parts in factors.items()
        }
        parameters = [part for parts in own.values() for part in parts]
        optimiser = torch.optim.Adam(parameters, lr=self.config.rate)

        def adapter() -> dict[str, LowRank]:
            return {path: LowRank(reads=a, writes=scale * b.T) for path, (a, b) in own.items()}

        steps = 0
        with torch.enable_grad():
            while True:
                loss = target.loss(on_top(beside, adapter()))
                if loss.item() < self.config.enough or steps == self.config.steps:
                    break
                gradients = torch.autograd.grad(loss, parameters)
                for part, gradient in zip(parameters, gradients, strict=True):
                    part.grad = gradient
                optimiser.step()
                steps += 1
        return Learned(values=stored_factors(adapter()), steps=steps)


METHOD = Lora
