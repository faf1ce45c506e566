"""Several processes (``accelerate launch``): each takes its part of every batch, or of the probes.

In training random numbers are drawn for the whole batch on every process, so that several
processes take the steps that one would.
"""

from __future__ import annotations

from datetime import timedelta

import torch
from accelerate import PartialState
from torch import Tensor
from torch.distributed.nn.functional import all_gather

_LONGEST = timedelta(days=7)  # one may be that far ahead of another


def processes() -> PartialState:
    """How many there are, and which one this is; one, unless started by ``accelerate launch``."""
    return PartialState(timeout=_LONGEST)


def every_process() -> None:
    """Wait until all processes are here."""
    processes().wait_for_everyone()


def share(rows: Tensor) -> Tensor:
    """This process's part of a batch, along the first axis; the same size on each.

    Raises:
        ValueError: The batch cannot be divided equally.
    """
    count = processes().num_processes
    if len(rows) % count:
        raise ValueError(
            f"a batch of {len(rows)} cannot be divided among {count} processes; "
            "choose a batch that is a multiple of their number"
        )
    size = len(rows) // count
    return rows[processes().process_index * size :][:size]


def gather(part: Tensor, dim: int = 0) -> Tensor:
    """The parts of all processes behind each other along an axis.

    Gradients go back to the process they belong to, summed over all. As every process computes
    the same loss from the whole and gradients are averaged afterwards, they come out right.
    """
    if processes().num_processes == 1:
        return part
    if part.is_floating_point():
        return torch.cat(all_gather(part.contiguous()), dim)
    number = part.byte() if part.dtype == torch.bool else part
    parts = [torch.empty_like(number) for _ in range(processes().num_processes)]
    torch.distributed.all_gather(parts, number.contiguous())
    return torch.cat(parts, dim).to(part.dtype)


def mean(values: Tensor) -> Tensor:
    """Mean over the processes, without gradients."""
    if processes().num_processes == 1:
        return values.detach()
    whole = values.detach().clone()
    torch.distributed.all_reduce(whole)
    return whole / processes().num_processes
