"""One training loop for all: schedule, log, checkpoints, and going on after a kill."""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from liveedit.config import Config
from liveedit.distributed import every_process, mean, processes
from liveedit.saving.files import whole, write_whole
from liveedit.training.curve import Curve, Validation
from liveedit.training.page import write_page

logger = logging.getLogger(__name__)

_RUNNING = 0.05  # the bar shows running means over some 20 steps; the log has every step


class LoopConfig(Config):
    """Settings of a loop.

    Args:
        steps: Number of updates.
        learning_rate: Of AdamW, at its highest.
        warmup: Steps until then; afterwards a cosine to 2% of it.
        clip: Largest norm of the gradient.
        weight_decay: Of AdamW.
        save_every: Steps between checkpoints.
        validate_every: Steps between looks at validation corrections.
    """

    steps: int
    learning_rate: float
    warmup: int = 30
    clip: float = 1.0
    weight_decay: float = 0.01
    save_every: int = 50
    validate_every: int = 100


def train(
    losses: Callable[[int], dict[str, Tensor]],
    weights: Mapping[str, float],
    trained: dict[str, nn.Parameter],
    config: LoopConfig,
    folder: Path,
    *,
    rates: Mapping[str, float] | None = None,
    seed: int = 0,
    validate: Validation | None = None,
    choose_best: bool = False,
) -> None:
    """Minimise a weighted sum of losses, writing ``losses.jsonl`` and ``checkpoint.safetensors``.

    The same figures go to TensorBoard, if it is installed.

    What is not a number is null in ``losses.jsonl``.

    Started again after a kill it goes on from the last checkpoint. For the run to be the one that
    was interrupted, ``losses`` must draw what it draws from the number of the step alone; torch's
    own generator is seeded with it.

    On several processes (``accelerate launch``) gradients are averaged over them, each step; the
    first process writes.

    Args:
        losses: From the number of the step to the unweighted terms, by name.
        weights: Weight of each term; a term without one only goes to the log.
        trained: What is updated, by name.
        config: Settings.
        folder: Of this run alone; made if missing.
        rates: Learning rate of a parameter relative to the others', where it is not 1.
        seed: Seed of torch's generator.
        validate: Gives figures on validation corrections, which go to ``validation.jsonl`` and to
            TensorBoard; on several processes all call it. It must change nothing.
        choose_best: End with the weights whose ``merit`` was highest, ``best.safetensors``, instead
            of the last.
    """
    folder.mkdir(parents=True, exist_ok=True)
    groups = [
        {"params": [value], "rate": (rates or {}).get(name, 1.0)} for name, value in trained.items()
    ]
    optimiser = torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay)
    first = _resume(folder, trained, optimiser)
    every_process()  # has read the checkpoint before the first one writes the next
    terms_of = _everywhere(_Losses(losses, trained))
    writes = processes().is_main_process
    if writes:
        _forget(folder / "losses.jsonl", first)
    curve = Curve(folder, trained, first) if validate else None
    every_process()
    running: dict[str, float] = {}
    with (
        (folder / "losses.jsonl" if writes else Path(os.devnull)).open(
            "a", encoding="utf-8"
        ) as log,
        tqdm(
            total=config.steps, initial=first, desc=folder.name, unit="step", disable=not writes
        ) as bar,
        _tensorboard(folder, first) if writes else nullcontext(_show_nothing) as show,
    ):
        for step in range(first, config.steps):
            began = time.perf_counter()
            torch.manual_seed(seed * 1_000_003 + step)
            for group in optimiser.param_groups:
                group["lr"] = config.learning_rate * group["rate"] * _schedule(step, config)
            terms = terms_of(step)
            total = torch.stack([weight * terms[name] for name, weight in weights.items()]).sum()
            optimiser.zero_grad()
            total.backward()
            norm = nn.utils.clip_grad_norm_(trained.values(), config.clip)
            optimiser.step()
            shown = dict(zip(terms, mean(torch.stack([*terms.values()])).tolist(), strict=True))
            seconds = time.perf_counter() - began
            row = {"step": step, **shown, "norm": norm.item(), "seconds": seconds}
            known = {name: value if math.isfinite(value) else None for name, value in row.items()}
            log.write(json.dumps(known) + "\n")
            log.flush()
            show(step, row)
            for name, value in shown.items():
                before = running.get(name, value)
                running[name] = before + _RUNNING * (value - before)
            bar.set_postfix({name: f"{value:.3g}" for name, value in running.items()})
            bar.update()
            last = step + 1 == config.steps
            if curve and validate and ((step + 1) % config.validate_every == 0 or last):
                found = validate()
                if writes:
                    curve.add(step + 1, found)
                    show(step, {f"validation/{name}": value for name, value in found.items()})
                    write_page(folder.parent)
            if writes and ((step + 1) % config.save_every == 0 or last):
                _save(folder, step + 1, trained, optimiser)
    every_process()
    if curve and choose_best:
        curve.load_best()


def _forget(log: Path, step: int) -> None:
    """Drop what an interrupted run logged after its last checkpoint."""
    if log.exists():
        lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
        write_whole(log, "".join(lines[:step]))


class _Losses(nn.Module):
    """The losses as a module of what is trained, which is what DDP takes."""

    def __init__(
        self, losses: Callable[[int], dict[str, Tensor]], trained: Mapping[str, nn.Parameter]
    ) -> None:
        super().__init__()
        self.losses = losses
        self.trained = nn.ParameterList(trained.values())

    def forward(self, step: int) -> dict[str, Tensor]:
        return self.losses(step)


def _everywhere(losses: _Losses) -> nn.Module:
    if processes().num_processes == 1:
        return losses
    # a variant of the method may leave parameters unused
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    return Accelerator(kwargs_handlers=[unused]).prepare_model(losses, device_placement=False)


def _show_nothing(_step: int, _row: dict[str, float]) -> None:
    """In place of a log."""


@contextmanager
def _tensorboard(folder: Path, first: int) -> Iterator[Callable[[int, dict[str, float]], None]]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        logger.info("no TensorBoard here: pip install 'liveedit-vlm[train]' for its curves")
        yield _show_nothing
        return

    def show(step: int, row: dict[str, float]) -> None:
        for name, value in row.items():
            if name != "step":
                writer.add_scalar(name, value, step)

    # what an interrupted run logged after its last checkpoint is dropped
    with SummaryWriter(str(folder), purge_step=first) as writer:
        yield show


def _schedule(step: int, config: LoopConfig) -> float:
    if step < config.warmup:
        return (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, config.steps - config.warmup)
    return 0.5 * (1 + math.cos(math.pi * done)) * 0.98 + 0.02


def _save(
    folder: Path,
    step: int,
    trained: dict[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
) -> None:
    tensors = {name: value.detach().contiguous() for name, value in trained.items()}
    tensors["number of steps"] = torch.tensor(step)
    for name, value in trained.items():
        for key, moment in optimiser.state[value].items():
            tensors[f"{key}:{name}"] = moment.clone()
    with whole(folder / "checkpoint.safetensors") as part:
        save_file(tensors, part)


def _resume(
    folder: Path, trained: dict[str, nn.Parameter], optimiser: torch.optim.Optimizer
) -> int:
    path = folder / "checkpoint.safetensors"
    if not path.exists():
        return 0
    tensors = load_file(path)
    for name, value in trained.items():
        value.data.copy_(tensors[name])
        if f"step:{name}" in tensors:  # a parameter that never had a gradient has no moments
            moments = {key: tensors[f"{key}:{name}"] for key in ("exp_avg", "exp_avg_sq")}
            optimiser.state[value] = {
                "step": tensors[f"step:{name}"],  # which Adam keeps on the CPU
                **{key: moment.to(value.device) for key, moment in moments.items()},
            }
    step = int(tensors["number of steps"])
    logger.info("%s: going on from step %d", folder.name, step)
    return step
