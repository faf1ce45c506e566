"""The experts of all requests that are answered just now, in buffers that stay where they are.

Slots of experts lie side by side whatever request they belong to, so that what is added to all
tokens of a step is one product. A slot that is free belongs to no request, and adds nothing.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

FREE = -1


class ExpertBuffers:
    """Slots of experts with their weights and owners; they double when they are full.

    Args:
        width: Of the states.
        slots: How many there are at first.
        device: Where they live.
    """

    def __init__(self, width: int, slots: int, device: torch.device) -> None:
        self.u: Float[Tensor, "slots width"] = torch.zeros(slots, width, device=device)
        self.v: Float[Tensor, "slots width"] = torch.zeros(slots, width, device=device)
        self.weights: Float[Tensor, " slots"] = torch.zeros(slots, device=device)
        self.owner: Int[Tensor, " slots"] = torch.full((slots,), FREE, device=device)
        self._free = list(range(slots))  # the lowest first
        self._taken: dict[int, list[int]] = {}
        self.used = 0  # behind these all slots are free

    def put(
        self,
        owner: int,
        u: Float[Tensor, "some width"],
        v: Float[Tensor, "some width"],
        weights: Float[Tensor, " some"],
    ) -> None:
        """Keep the experts of a request.

        Args:
            owner: Number of the request, not negative, which has none yet.
            u: Their slots one behind the other.
            v: The same.
            weights: Of each slot.
        """
        while len(self._free) < len(weights):
            self._double()
        slots, self._free = self._free[: len(weights)], self._free[len(weights) :]
        self._taken[owner] = slots
        index = torch.tensor(slots, device=self.u.device)
        self.u[index], self.v[index] = u.to(self.u), v.to(self.v)
        self.weights[index] = weights.to(self.weights)
        self.owner[index] = owner
        self.used = max(self.used, slots[-1] + 1)

    def drop(self, owner: int) -> None:
        """Free the slots of a request."""
        slots = self._taken.pop(owner)
        self.owner[torch.tensor(slots, device=self.owner.device)] = FREE
        self._free = sorted(self._free + slots)
        self.used = max((own[-1] + 1 for own in self._taken.values()), default=0)

    def _double(self) -> None:
        count = len(self.owner)
        self.u = torch.cat([self.u, torch.zeros_like(self.u)])
        self.v = torch.cat([self.v, torch.zeros_like(self.v)])
        self.weights = torch.cat([self.weights, torch.zeros_like(self.weights)])
        self.owner = torch.cat([self.owner, torch.full_like(self.owner, FREE)])
        self._free += range(count, 2 * count)
