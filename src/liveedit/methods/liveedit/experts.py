"""Low-rank experts: what they are, side by side or one behind the other, and what they add."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, kw_only=True)
class Experts:
    """Low-rank experts: ``residual(h) = ReLU(h U^T / width) V`` in the backbone's own units.

    Those of fewer slots than others are zero in the rest, and add nothing there.
    """

    u: Float[Tensor, "experts rank width"]
    v: Float[Tensor, "experts rank width"]

    def some(self, rows: Int[Tensor, " some"]) -> Experts:
        """Some of them, in this order."""
        return Experts(u=self.u[rows], v=self.v[rows])

    @property
    def halved(self) -> Experts:
        """As they are kept: rounded to half precision; gradients pass as if they were not."""
        return Experts(u=_halved(self.u), v=_halved(self.v))

    def parted(self, slots: Int[Tensor, " experts"]) -> tuple[list[Tensor], list[Tensor]]:
        """Each expert's own u and v, (slots, width), half precision where that changes nothing."""
        u, v = (
            [_smallest(one[:count]) for one, count in zip(part, slots.tolist(), strict=True)]
            for part in (self.u, self.v)
        )
        return u, v


@dataclass(frozen=True, kw_only=True)
class ExpertSlots:
    """The slots of several experts, one expert behind the other; none is padded."""

    u: Float[Tensor, "slots width"]
    v: Float[Tensor, "slots width"]
    ranks: Int[Tensor, " experts"]

    @staticmethod
    def of(u: Sequence[Tensor], v: Sequence[Tensor]) -> ExpertSlots:
        """From each expert's u and v, (slots, width), in any floating dtype; at least one."""
        ranks = torch.tensor([len(one) for one in u], device=u[0].device)
        return ExpertSlots(u=torch.cat(list(u)).float(), v=torch.cat(list(v)).float(), ranks=ranks)


def apply_experts(
    states: Float[Tensor, "batch length width"],
    experts: Experts,
    weights: Float[Tensor, "batch weights"],
) -> Float[Tensor, "batch length width"]:
    """Sum of the weighted experts at every position: ``sum_e w_e ReLU(h U_e^T) V_e``.

    Two matrix products for each row over the experts' slots laid side by side; no tensor of
    length x experts x width arises.

    Args:
        states: Standardised states.
        experts: The experts of each row side by side: u and v of shape (batch, slots, width).
        weights: Soft weights: one for each slot, or for each of equally many slots.

    Returns:
        The residual in units of the backbone's scale.
    """
    rank = experts.u.shape[1] // weights.shape[1]
    activation = F.relu(states @ experts.u.transpose(1, 2) / states.shape[-1])
    return (activation * weights.repeat_interleave(rank, 1)[:, None]) @ experts.v


def _halved(part: Tensor) -> Tensor:
    return part + (part.detach().half().float() - part.detach())


def _smallest(part: Tensor) -> Tensor:
    half = part.detach().half()
    return half if torch.equal(half.float(), part) else part.detach().clone()
