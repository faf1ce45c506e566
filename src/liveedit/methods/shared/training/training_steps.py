"""A loop of Adam with a progress bar, for methods that train something small by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import trange

from liveedit.errors import CannotCalibrate
from liveedit.methods.shared.training.kept_steps import EVERY, KeptSteps


def train_steps(
    parameters: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
    loss: Callable[[torch.Generator], Tensor],
    *,
    steps: int,
    rate: float,
    seed: int,
    name: str,
    kept: KeptSteps,
    clip: float = 1.0,
) -> None:
    """So many steps; the rate rises over the first twentieth of them and then falls to zero.

    Args:
        parameters: What is trained; or groups of them, as PyTorch's optimisers take them, with
            rates of their own.
        loss: Of a batch that is drawn with the generator.
        steps: How many.
        rate: The highest.
        seed: Of the generator, and of what draws without it.
        name: For the progress bar, and of the state that is kept.
        kept: Where that is; a training that was stopped goes on from it.
        clip: Longest gradient.

    Raises:
        CannotCalibrate: The loss is no number any more.
    """
    optimiser = torch.optim.Adam(parameters, lr=rate)
    trained = [one for group in optimiser.param_groups for one in group["params"]]
    rates = [group["lr"] for group in optimiser.param_groups]
    generator = torch.Generator().manual_seed(seed)
    warm = max(steps // 20, 1)
    losses: list[float] = []
    first = kept.resume(name, trained, optimiser, generator)
    for step in (bar := trange(first, steps, initial=first, total=steps, desc=name, unit="step")):
        for group, highest in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = highest * min((step + 1) / warm, 1 - step / steps)
        with _random(trained, seed + step), torch.enable_grad():
            value = loss(generator)
            if not torch.isfinite(value):
                raise CannotCalibrate(
                    f"training of {name} failed at step {step}; take a lower rate, or other data"
                )
            grads = torch.autograd.grad(value, trained, allow_unused=True)
        for one, grad in zip(trained, grads, strict=True):
            one.grad = grad
        nn.utils.clip_grad_norm_(trained, clip)
        optimiser.step()
        losses.append(value.item())
        bar.set_postfix(loss=f"{sum(losses[-20:]) / len(losses[-20:]):.3f}", refresh=False)
        if (step + 1) % EVERY == 0 or step + 1 == steps:
            kept.keep(name, trained, optimiser, step + 1, generator)


@contextmanager
def _random(parameters: Sequence[Tensor], seed: int) -> Iterator[None]:
    """Within this context what draws without a generator, as dropout, draws from a seed."""
    devices = {one.device for one in parameters if one.device.type == "cuda"}
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield


def drawn(count: int, size: int, generator: torch.Generator) -> Tensor:
    """Numbers of a batch, none twice."""
    return torch.randperm(count, generator=generator)[:size]
