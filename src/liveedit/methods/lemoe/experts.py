"""Experts: small feed-forward networks beside that of one layer, and how one learns an edit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from liveedit.methods.lemoe.config import LemoeConfig
from liveedit.methods.shared.feed_forward.network import FeedForwardChange, UpperPass


@dataclass(frozen=True, kw_only=True)
class Expert:
    """``ReLU(x R^T) W``, added to what leaves the network that ``x`` enters.

    Args:
        reads: What is looked for (R).
        writes: What is added for each that is found (W).
    """

    reads: Float[Tensor, "rank width"]
    writes: Float[Tensor, "rank width"]

    def added(self, entered: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """What it adds, in float32."""
        reads, writes = self.reads.to(entered.device), self.writes.to(entered.device)
        return (entered.float() @ reads.T).relu() @ writes


def new_expert(rank: int, width: int, number: int) -> Expert:
    """An expert that adds nothing yet.

    Args:
        rank: Its hidden width.
        width: Of the network's input and output.
        number: Of the expert: each begins with other reads, and always with the same.
    """
    chance = torch.Generator().manual_seed(number)
    reads = torch.randn(rank, width, generator=chance) / width**0.5
    return Expert(reads=reads, writes=torch.zeros(rank, width))


def adding(
    experts: Sequence[Expert | None], where: Bool[Tensor, "rows length"]
) -> FeedForwardChange:
    """The network and, at some tokens, the expert of each row; other rows stay bit-identical."""

    def change(entered: Tensor, left: Tensor) -> Tensor:
        given = []
        for row, expert in enumerate(experts):
            own = left[row]
            if expert is not None:
                here = where[row].to(own.device)[:, None]
                own = torch.where(here, own + expert.added(entered[row]).to(own.dtype), own)
            given.append(own)
        return torch.stack(given)

    return change


def entering(batch: UpperPass) -> Float[Tensor, "kept width"]:
    """What enters the network where a batch predicts its targets."""
    found: list[Tensor] = []

    def look(inputs: Tensor, _left: Tensor) -> None:
        found.append(inputs)

    batch.logits(look)
    return found[0][batch.keep.to(found[0].device)].float()


@torch.no_grad()
def learn(
    expert: Expert,
    batch: UpperPass,
    where: Bool[Tensor, "one length"],
    shared: Float[Tensor, "tokens width"],
    config: LemoeConfig,
) -> tuple[Expert, int]:
    """Steps of Adam until an expert gives a target.

    What it gave to the edits that share it is to stay: the squared difference is part of the loss.

    Args:
        expert: What the edits before it have left, or a new one.
        batch: The correction with its target.
        where: The tokens that it acts at.
        shared: What enters the network at the targets of the edits that share it.
        config: How.

    Returns:
        The expert, and how many steps that took.
    """
    device = batch.keep.device
    parts = [one.clone().to(device).requires_grad_() for one in (expert.reads, expert.writes)]
    kept = expert.added(shared.to(device))
    optimiser = torch.optim.Adam(parts, lr=config.rate)
    for steps in range(config.steps + 1):
        with torch.enable_grad():
            now = Expert(reads=parts[0], writes=parts[1])
            logits = batch.logits(adding([now], where))
            surprise = F.cross_entropy(logits, batch.words.to(logits.device))
            moved = (now.added(shared.to(device)) - kept).square().sum(-1)
            loss = surprise + config.remember * (moved.mean() if len(moved) else 0.0)
        if loss.item() < config.enough or steps == config.steps:
            break
        with torch.enable_grad():
            gradients = torch.autograd.grad(loss, parts)
        for part, gradient in zip(parts, gradients, strict=True):
            part.grad = gradient
        optimiser.step()
    return Expert(reads=parts[0].detach(), writes=parts[1].detach()), steps
