"""Changes of linear modules: added to what a module gives, never to its weights.

What several edits add to one module is kept as one change, edit after edit in their order, so that
the same edits give the same numbers, bit for bit, however they were summed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from liveedit.backbones.module_hooks import ModuleChange

Values: TypeAlias = Mapping[str, Tensor]  # of one edit, by name
ReadValues: TypeAlias = Callable[[Sequence[str]], Sequence[Values]]
_READ = 16  # edits whose values are in memory at a time


@runtime_checkable
class LinearChange(Protocol):
    """What is added to a linear module's output."""

    def added(self, inputs: Float[Tensor, "*batch wide"]) -> Float[Tensor, "*batch high"]:
        """From what the module takes, in float32."""


@dataclass(frozen=True, kw_only=True)
class Dense:
    """A change of the whole matrix.

    Args:
        weight: Added to the module's.
    """

    weight: Float[Tensor, "high wide"]

    def added(self, inputs: Float[Tensor, "*batch wide"]) -> Float[Tensor, "*batch high"]:
        """``x W^T``, in float32."""
        return inputs.float() @ self.weight.to(inputs.device).T


@dataclass(frozen=True, kw_only=True)
class LowRank:
    """A change that is a product of two thin matrices.

    Args:
        reads: What is read of the input.
        writes: What is added for each of these.
    """

    reads: Float[Tensor, "rank wide"]
    writes: Float[Tensor, "rank high"]

    def added(self, inputs: Float[Tensor, "*batch wide"]) -> Float[Tensor, "*batch high"]:
        """``(x R^T) W``, in float32."""
        device = inputs.device
        return (inputs.float() @ self.reads.to(device).T) @ self.writes.to(device)

    @property
    def dense(self) -> Float[Tensor, "high wide"]:
        """The same as one matrix."""
        return self.writes.T @ self.reads


@dataclass(frozen=True, kw_only=True)
class SummedRanks:
    """Low-rank changes of several edits: one behind the other while that is smaller, then summed.

    Args:
        joined: Those that are kept one behind the other.
        summed: All of them, if they are one matrix already.
    """

    joined: LowRank | None = None
    summed: Float[Tensor, "high wide"] | None = None

    def plus(self, one: LowRank) -> SummedRanks:
        """With one edit more."""
        if self.summed is not None:
            return SummedRanks(summed=self.summed + one.dense)
        if self.joined is not None:
            one = LowRank(
                reads=torch.cat([self.joined.reads, one.reads]),
                writes=torch.cat([self.joined.writes, one.writes]),
            )
        rank, (high, wide) = len(one.reads), (one.writes.shape[1], one.reads.shape[1])
        if rank * (high + wide) <= high * wide:
            return SummedRanks(joined=one)
        return SummedRanks(summed=one.dense)

    def added(self, inputs: Float[Tensor, "*batch wide"]) -> Float[Tensor, "*batch high"]:
        """What all of them add; there is at least one."""
        if self.summed is not None:
            return Dense(weight=self.summed).added(inputs)
        assert self.joined is not None
        return self.joined.added(inputs)


@dataclass(frozen=True, kw_only=True)
class Together:
    """Several changes of one module, whose outputs are added.

    Args:
        parts: The changes; at least one.
    """

    parts: Sequence[LinearChange]

    def added(self, inputs: Float[Tensor, "*batch wide"]) -> Float[Tensor, "*batch high"]:
        """What all of them add."""
        total = self.parts[0].added(inputs)
        for part in self.parts[1:]:
            total = total + part.added(inputs)
        return total


Changes: TypeAlias = Mapping[str, LinearChange]  # by the path of the module


def on_top(before: Changes, more: Changes) -> Changes:
    """Some changes beside those that are in force already."""
    return {
        path: Together(parts=[one[path] for one in (before, more) if path in one])
        for path in dict.fromkeys((*before, *more))
    }


class SumCache:
    """What sets of edits add together; sets that were asked for lately are not summed again.

    Args:
        plus: From a sum and the values of one edit more to the next sum.
        most: Sums that are kept.
    """

    def __init__(self, plus: Callable[[Changes, Values], Changes], most: int = 8) -> None:
        self._plus, self._most = plus, most
        self._known: dict[tuple[str, ...], Changes] = {}
        self._lock = Lock()

    def of(self, ids: Sequence[str], read: ReadValues) -> Changes:
        """What some edits add together; nothing for none.

        Args:
            ids: Names of the edits, in the order in which they were made.
            read: Gives the values of some of them.
        """
        wanted = tuple(ids)
        with self._lock:
            known = [ids for ids in self._known if wanted[: len(ids)] == ids]
            start = max(known, key=len, default=())
            total = self._known.get(start, {})
        if len(start) < len(wanted):
            for values in _one_by_one(wanted[len(start) :], read):
                total = self._plus(total, values)
        with self._lock:
            self._known.pop(wanted, None)
            self._known[wanted] = total
            while len(self._known) > self._most:
                del self._known[next(iter(self._known))]
        return total


def in_rows(parts: Sequence[tuple[Sequence[int], Changes]], batch: int) -> dict[str, ModuleChange]:
    """Changes of the rows of a batch as hooks make them; other rows stay bit-identical.

    Of a batch that was widened for beams, or whose positions a module takes in one long row, each
    row of the batch is a block of rows that lie behind each other.

    Args:
        parts: Rows that get the same, and what they get.
        batch: Rows of the batch.
    """
    paths = dict.fromkeys(path for _, changes in parts for path in changes)

    def changing(path: str) -> ModuleChange:
        some = [(rows, changes[path]) for rows, changes in parts if path in changes]

        def change(inputs: Tensor, output: Tensor) -> Tensor:
            if len(some) == 1 and len(some[0][0]) == batch:
                return output + some[0][1].added(inputs).to(output.dtype)
            taken = inputs.reshape(batch, -1, inputs.shape[-1])
            given = output.reshape(batch, -1, output.shape[-1]).clone()
            for rows, one in some:
                own = list(rows)
                given[own] = given[own] + one.added(taken[own]).to(output.dtype)
            return given.reshape(output.shape)

        return change

    return {path: changing(path) for path in paths}


def _one_by_one(ids: Sequence[str], read: ReadValues) -> Iterator[Values]:
    """Values of a few edits at a time: those of all may not fit into memory."""
    for start in range(0, len(ids), _READ):
        yield from read(ids[start : start + _READ])
