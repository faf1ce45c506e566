"""What a training will take on disk and in time, said before it starts.

Disk is counted: the tokens of every question and answer, times what is kept of a token. Time is
measured on a few corrections, whose states are computed and learned from as all will be.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from liveedit.backbones.base import Backbone
from liveedit.data.cached_states import CachedViews, missing, view_states
from liveedit.data.views import Case, seen, views_of
from liveedit.distributed import processes
from liveedit.errors import CacheTooSmall, DiskTooSmall

_SAMPLE = 8  # corrections whose states are computed to measure
_PER_VIEW = 16  # bytes of a view's lengths


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Corrections whose states will be kept.

    Args:
        cases: The corrections.
        names: The views of each.
        targets: What answers all views of each; its target by default.
    """

    cases: Sequence[Case]
    names: tuple[str, ...]
    targets: Sequence[str] | None = None

    @property
    def answers(self) -> Sequence[str]:
        """What answers the views of each correction."""
        return self.targets or [case.target for case in self.cases]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What it will take.

    Args:
        corrections: How many, those to choose settings on among them.
        tokens: Of all their views.
        size: Bytes of their states.
        there: Bytes of these that are in the cache already.
        free: Bytes that the disk has free.
        seconds: By part of the training.
    """

    corrections: int
    tokens: int
    size: int
    there: int
    free: int
    seconds: Mapping[str, float]

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {_clock(some)}" for name, some in self.seconds.items())
        return (
            f"{self.corrections:,} corrections, {self.tokens:,} tokens: states of "
            f"{_gigabytes(self.size)} ({_gigabytes(self.there)} there already, "
            f"{_gigabytes(self.free)} free); about {_clock(sum(self.seconds.values()))} ({parts})"
        )


Step = Callable[[], Tensor]


@dataclass(frozen=True, kw_only=True)
class Steps:
    """Steps of a loop, of which one is measured.

    Args:
        name: Of the loop.
        count: How many there will be.
        times: By how much a batch is larger than what is measured.
        step: One of them, on the sample: gives its loss.
    """

    name: str
    count: int
    times: float
    step: Step


def estimate(
    backbone: Backbone,
    kept: Sequence[Kept],
    folder: Path,
    *,
    limit: int,
    steps: Callable[[CachedViews], Sequence[Steps]],
) -> Estimate:
    """Count and measure.

    Args:
        backbone: The frozen model.
        kept: All whose states will be kept; the first of them are measured.
        folder: The cache of states.
        limit: Largest size of the cache in bytes.
        steps: Given the states of the sample, the loops.

    Raises:
        CacheTooSmall: The limit of the cache is.
        DiskTooSmall: The disk has less free than is needed.
    """
    sample, tokens_of, seconds, per_token = _measured(backbone, kept[0])
    tokens = absent = 0
    for one in kept:
        answers = [[answer] * len(one.names) for answer in one.answers]
        fresh = missing(backbone, one.cases, folder, names=one.names, answers=answers)
        for case, answer, is_fresh in zip(one.cases, one.answers, fresh, strict=True):
            own = sum(tokens_of(case, name, answer) for name in one.names)
            tokens += own
            absent += own * is_fresh
    views = sum(len(one.cases) * len(one.names) for one in kept)
    size, there = tokens * per_token + views * _PER_VIEW, (tokens - absent) * per_token
    place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(place).free
    if size > limit:
        raise CacheTooSmall(needed=size, limit=limit)
    if size - there > free:
        raise DiskTooSmall(needed=size - there, free=free, folder=place)
    return Estimate(
        corrections=sum(len(one.cases) for one in kept),
        tokens=tokens,
        size=size,
        there=there,
        free=free,
        seconds={"states": seconds * absent / processes().num_processes}
        | {one.name: _time_of(one) for one in steps(sample)},
    )


_Counter = Callable[[Case, str, str], int]


def _measured(backbone: Backbone, kept: Kept) -> tuple[CachedViews, _Counter, float, int]:
    """States of the first corrections, how tokens are counted, seconds and bytes of a token."""
    cases = kept.cases[: _SAMPLE * processes().num_processes]
    pictures, questions = zip(
        *(view for case in cases for view in views_of(case, kept.names)), strict=True
    )
    targets = [answer for answer in kept.answers[: len(cases)] for _ in kept.names]
    view_states(backbone, pictures[:2], questions[:2], targets[:2])  # the first pass is slower
    began = time.perf_counter()
    tensors = view_states(backbone, pictures, questions, targets)
    seconds = time.perf_counter() - began
    lengths = tensors["lengths"].tolist()
    beside: dict[bool, int] = {}  # what stands around a question, its picture among it
    for picture, question, target, length in zip(
        pictures, questions, targets, lengths, strict=True
    ):
        around = length - _words(backbone, question) - len(backbone.target_ids(target))
        beside[picture is not None] = max(around, beside.get(picture is not None, 0))
    if False not in beside:
        (text_only,) = view_states(backbone, [None], [questions[0]], [targets[0]])["lengths"]
        beside[False] = (
            int(text_only) - _words(backbone, questions[0]) - len(backbone.target_ids(targets[0]))
        )
    total = int(sum(lengths))
    per_token = sum(
        value.element_size() * value[0].numel() for value in tensors.values() if len(value) == total
    )

    def count(case: Case, name: str, answer: str) -> int:
        picture, question = seen(case, name)
        around = beside.get(picture is not None, beside[False])
        return around + _words(backbone, question) + len(backbone.target_ids(answer))

    views = CachedViews(kept.names, **tensors, device=backbone.edit_device)
    return views, count, seconds / total, per_token


def _words(backbone: Backbone, question: str) -> int:
    return len(backbone.tokenizer(question, add_special_tokens=False)["input_ids"])


def _time_of(loop: Steps) -> float:
    """Seconds of all steps of a loop, the second of two being measured."""
    for _ in range(2):
        began = time.perf_counter()
        with torch.enable_grad():
            loop.step().backward()
        seconds = time.perf_counter() - began
    return loop.count * loop.times * seconds


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.0f} MB"


def _clock(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
