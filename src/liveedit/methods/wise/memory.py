"""The side memory: what edits have made of the copy of a matrix, and when it answers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from liveedit.methods.wise.config import WiseConfig
from liveedit.methods.wise.merging import merged


@dataclass(frozen=True, kw_only=True)
class SideMemory:
    """By what the copy differs from the model's matrix.

    Args:
        base: What was merged for good.
        shards: What was learned in each mask since.
        number: Of the last of these masks.
        count: How many edits learned in it.
        weight: All of it together.
        least: The least activation of an edit.
    """

    base: Float[Tensor, "high wide"]
    shards: tuple[Float[Tensor, "high wide"], ...]
    number: int
    count: int
    weight: Float[Tensor, "high wide"]
    least: float

    @staticmethod
    def empty(shape: tuple[int, int], device: torch.device | None = None) -> SideMemory:
        """Without edits."""
        nothing = torch.zeros(shape, device=device)
        return SideMemory(
            base=nothing, shards=(), number=0, count=0, weight=nothing, least=float("inf")
        )

    def next_mask(self, config: WiseConfig) -> int:
        """Number of the mask in which the next edit learns."""
        return self.number + (self.count >= config.per_mask)

    def plus(
        self,
        change: Float[Tensor, "high wide"],
        number: int,
        activation: float,
        config: WiseConfig,
    ) -> SideMemory:
        """With one edit more.

        Args:
            change: What it has learned.
            number: Of the mask in which it did.
            activation: How much its question activates the side memory.
            config: How masks are merged.
        """
        shards, count, base = self.shards, self.count, self.base
        if not shards or number != self.number:
            if len(shards) == config.masks:
                base, shards = base + merged(shards, config.trim), ()
            shards, count = (*shards, torch.zeros_like(change)), 0
        shards = (*shards[:-1], shards[-1] + change)
        return replace(
            self,
            base=base,
            shards=shards,
            number=number,
            count=count + 1,
            weight=base + merged(shards, config.trim),
            least=min(self.least, activation),
        )

    def added(self, inputs: Float[Tensor, "*batch wide"]) -> Float[Tensor, "*batch high"]:
        """What the side memory gives beyond the model's matrix."""
        return inputs.float() @ self.weight.to(inputs.device).T


def activation(
    inputs: Float[Tensor, "batch length wide"],
    asked: Bool[Tensor, "batch length"],
    weight: Float[Tensor, "high wide"],
) -> Float[Tensor, " batch"]:
    """How much questions activate a side memory: the mean norm of what it adds at their tokens.

    Args:
        inputs: What the matrix takes.
        asked: Which tokens are the questions'.
        weight: By what the side memory differs.
    """
    norms = (inputs.float() @ weight.T).square().sum(-1).clamp(min=1e-12).sqrt()
    mask = asked.to(norms.device)
    return (norms * mask).sum(1) / mask.sum(1).clamp(min=1)
