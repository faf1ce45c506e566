"""Training of neurons: one for each token of a target, active there and silent elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from liveedit.methods.shared.feed_forward.network import UpperPass
from liveedit.methods.tp.config import TpConfig
from liveedit.methods.tp.neurons import Neurons, adding

MARGIN = 0.1  # numerics differ between a whole pass and decoding with a cache


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What came of it.

    Args:
        neurons: For each row as many as its target has tokens, then padding.
        counts: How many these are.
        reached: Whether every token of the target is the likeliest with them.
        steps: Gradient steps taken.
    """

    neurons: Neurons
    counts: Int[Tensor, " batch"]
    reached: Bool[Tensor, " batch"]
    steps: Int[Tensor, " batch"]


@torch.no_grad()
def fit_neurons(
    batch: UpperPass, memory: Float[Tensor, "batch memory width"], config: TpConfig
) -> Fitted:
    """Train the neurons of each question; neither rows beside it nor earlier edits matter.

    Args:
        batch: Questions with targets.
        memory: What enters the network elsewhere, where the neurons of each row must be silent;
            NaN where there is nothing.
        config: Steps, rate, weights.
    """
    own, real = _own_tokens(batch)
    parts = [
        own / own.square().sum(-1, keepdim=True).clamp(min=1e-6),  # excited by 1 at its own token
        torch.zeros(own.shape[:2], device=own.device),
        torch.zeros_like(own),
    ]
    key, bias, value = (part.clone().requires_grad_() for part in parts)
    optimiser = torch.optim.Adam([key, bias, value], lr=config.rate)
    best = [part.detach().clone() for part in (key, bias, value)]
    most, score = (torch.full((len(own),), -torch.inf, device=own.device) for _ in range(2))
    steps = torch.zeros(len(own), dtype=torch.long, device=own.device)
    asked = batch
    for step in range(config.steps + 1):
        at = asked.at.to(own.device)
        with torch.enable_grad():
            neurons = _padded(key[at], bias[at], value[at], real[at])
            logits = asked.logits(adding(neurons, asked.where))
            elsewhere = _elsewhere(neurons, memory[at])
        margins = asked.margins(logits).to(own.device)
        first = neurons.excited(own[at, :1])[:, 0, 0].detach()
        margins = torch.where(first > 0, margins, -torch.inf)  # else nothing opens the edit
        loud = elsewhere.detach().amax(1).masked_fill(~real[at], -torch.inf).amax(1).clamp(min=0.0)
        now = margins.clamp(max=config.margin) - loud
        better = now > score[at]
        for kept, latest in zip(best, (key, bias, value), strict=True):
            kept[at[better]] = latest.detach()[at[better]]
        most[at[better]], score[at[better]] = margins[better], now[better]
        active = score < config.margin  # it gives the target, and nothing is heard elsewhere
        if step == config.steps or not active.any():
            break
        with torch.enable_grad():
            losses = _losses(
                asked, logits, neurons, own[at], real[at], elsewhere, memory[at], config
            )
            grads = torch.autograd.grad(losses @ active[at].float(), [key, bias, value])
        for part, grad in zip((key, bias, value), grads, strict=True):
            part.grad = grad
        optimiser.step()
        steps += active
        asked = asked.still(active)
    return Fitted(
        neurons=_padded(best[0], best[1], best[2], real),
        counts=real.sum(1),
        reached=most > MARGIN,
        steps=steps,
    )


def _elsewhere(
    neurons: Neurons, memory: Float[Tensor, "batch memory width"]
) -> Float[Tensor, "batch memory neurons"]:
    """What enters the neurons elsewhere; minus infinity where there is nothing."""
    nothing = memory[..., :1].isnan()
    return neurons.excited(memory.nan_to_num()).masked_fill(nothing, -torch.inf)


def _losses(
    batch: UpperPass,
    logits: Float[Tensor, "kept vocabulary"],
    neurons: Neurons,
    own: Float[Tensor, "batch neurons width"],
    real: Bool[Tensor, "batch neurons"],
    elsewhere: Float[Tensor, "batch memory neurons"],
    memory: Float[Tensor, "batch memory width"],
    config: TpConfig,
) -> Float[Tensor, " batch"]:
    """Cross-entropy, activation and memory losses of each row (equations 6 to 10)."""
    each = F.cross_entropy(logits, batch.words.to(logits.device), reduction="none").to(own.device)
    counts = real.sum(1).clamp(min=1)
    surprise = torch.zeros(len(own), device=own.device).index_add(
        0, batch.rows.to(own.device), each
    )
    at_own = neurons.excited(own).diagonal(dim1=1, dim2=2)  # (batch, neurons)
    hardest = elsewhere.topk(min(config.hardest, elsewhere.shape[1]), dim=1).values
    tokens = (~memory[..., 0].isnan()).sum(1, keepdim=True).clamp(max=config.hardest)
    silent = (hardest + config.silence).exp().sum(1) / tokens
    apart = (hardest - at_own[:, None] + config.silence).exp().sum(1) / tokens
    regular = config.activation * (-at_own).exp() + config.memory * (silent + apart)
    return (surprise + torch.where(real, regular, 0.0).sum(1)) / counts


def _own_tokens(
    batch: UpperPass,
) -> tuple[Float[Tensor, "batch neurons width"], Bool[Tensor, "batch neurons"]]:
    """What enters the network at the token before each token of the target, row by row."""
    entered: list[Tensor] = []

    def look(inputs: Tensor, _left: Tensor) -> None:
        entered.append(inputs)

    batch.logits(look)
    keep = batch.keep.to(entered[0].device)
    counts = keep.sum(1)
    real = torch.arange(int(counts.max()), device=keep.device) < counts[:, None]
    own = entered[0].new_zeros(*real.shape, entered[0].shape[-1], dtype=torch.float32)
    own[real] = entered[0][keep].float()
    return own, real


def _padded(
    key: Tensor, bias: Tensor, value: Tensor, real: Bool[Tensor, "batch neurons"]
) -> Neurons:
    """Neurons that are no padding; the rest is never active."""
    return Neurons(key=key * real[..., None], bias=bias * real, value=value * real[..., None])
