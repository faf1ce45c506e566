"""Learning a correction in a side memory: its target, and margins of activation."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from liveedit.backbones.base import Backbone
from liveedit.backbones.layer_hook import StopForward
from liveedit.backbones.query import Query
from liveedit.methods.shared.weights.target_pass import TargetPass
from liveedit.methods.shared.weights.weight_change import Dense
from liveedit.methods.wise.config import WiseConfig
from liveedit.methods.wise.memory import activation

# what people ask that no correction is about
UNRELATED = (
    "What is the capital of France?", "How many days has a week?", "Who wrote Hamlet?",
    "What does water boil at?", "Name a prime number.", "What rhymes with house?",
    "How do I tie a knot?", "What is two plus two?",
)  # fmt: skip
UNRELATED_OF_PICTURES = (
    "Is it day or night here?", "Describe the picture.", "How bright is this picture?",
    "What stands out here?",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Questions as the matrix with a side memory sees them.

    Args:
        inputs: What it takes.
        mask: Which tokens are the questions'.
    """

    inputs: Float[Tensor, "batch length wide"]
    mask: Bool[Tensor, "batch length"]

    def activate(self, weight: Float[Tensor, "high wide"]) -> Float[Tensor, " batch"]:
        """How much they activate a side memory."""
        return activation(self.inputs, self.mask, weight)


@torch.no_grad()
def asked_at(backbone: Backbone, query: Query, path: str) -> Asked:
    """Run a batch up to a module; no layer above is run."""
    found: list[Tensor] = []

    def stop(inputs: Tensor, _output: Tensor) -> None:
        found.append(inputs)
        raise StopForward

    with suppress(StopForward), backbone.module_hooks.changing({path: stop}):
        backbone.logits(query)
    rows, length = query.input_ids.shape
    return Asked(inputs=found[0].reshape(rows, length, -1), mask=query.spans.prompt)


def margins(
    own: Float[Tensor, " some"], others: Float[Tensor, " more"], config: WiseConfig
) -> Float[Tensor, ""]:
    """The activation loss (Wang et al., NeurIPS 2024, equation 6), with its three margins.

    Args:
        own: Activations of corrections' questions.
        others: Of unrelated ones.
        config: Alpha, beta and gamma.
    """
    loss = torch.relu(others - config.alpha).mean() + torch.relu(config.beta - own).mean()
    return loss + torch.relu(config.gamma - (own[:, None] - others)).mean()


def learn_in(
    mask: Bool[Tensor, "high wide"],
    before: Float[Tensor, "high wide"],
    target: TargetPass,
    own: Asked,
    others: Sequence[Asked],
    path: str,
    config: WiseConfig,
) -> tuple[Float[Tensor, "high wide"], int]:
    """Steps of SGD on what a mask lets through.

    Args:
        mask: What may be changed.
        before: By what the side memory differs already.
        target: Of the correction.
        own: Its question.
        others: Unrelated questions.
        path: Of the module.
        config: How.

    Returns:
        The change, and how many steps that took.
    """
    change = torch.zeros_like(before).requires_grad_()
    steps = 0
    with torch.enable_grad():
        while True:
            weight = before + change * mask
            loss = target.loss({path: Dense(weight=weight)})
            apart = torch.cat([one.activate(weight) for one in others])
            missed = margins(own.activate(weight), apart, config)
            if max(loss.item(), missed.item()) < config.enough or steps == config.steps:
                return (change * mask).detach(), steps
            (gradient,) = torch.autograd.grad(loss + missed, change)
            with torch.no_grad():
                change -= config.rate * gradient
                change.clamp_(-config.norm, config.norm)
            steps += 1
