"""Neurons: ``max(x k + b, 0) v`` is added to what leaves the network (equation 5 of the paper)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from liveedit.methods.shared.feed_forward.network import FeedForwardChange


@dataclass(frozen=True, kw_only=True)
class Neurons:
    """Neurons of each row of a batch; those that pad a row do nothing.

    Args:
        key: What they look for.
        bias: Added to what they find.
        value: What they add when they are active.
    """

    key: Float[Tensor, "batch neurons width"]
    bias: Float[Tensor, "batch neurons"]
    value: Float[Tensor, "batch neurons width"]

    @staticmethod
    def of(rows: Sequence[Sequence[dict[str, Tensor]]], width: int) -> Neurons:
        """Neurons of several edits side by side, row by row.

        Args:
            rows: For each row the edits, each with tensors ``key``, ``bias`` and ``value``.
            width: Of keys and values.
        """

        def joined(name: str, *shape: int) -> Tensor:
            listed = [
                torch.cat([edit[name].float() for edit in row]) if row else torch.zeros(0, *shape)
                for row in rows
            ]
            return pad_sequence(listed, batch_first=True)

        return Neurons(key=joined("key", width), bias=joined("bias"), value=joined("value", width))

    def repeat(self, times: int) -> Neurons:
        """Each row several times in a row."""
        return Neurons(
            key=self.key.repeat_interleave(times, 0),
            bias=self.bias.repeat_interleave(times, 0),
            value=self.value.repeat_interleave(times, 0),
        )

    def excited(
        self, entered: Float[Tensor, "batch tokens width"]
    ) -> Float[Tensor, "batch tokens neurons"]:
        """``x k + b`` of every neuron at every token; active above zero."""
        key = self.key.to(entered.device)
        return entered.float() @ key.transpose(1, 2) + self.bias.to(entered.device)[:, None]


def patched(
    entered: Float[Tensor, "batch tokens width"],
    left: Float[Tensor, "batch tokens width"],
    neurons: Neurons,
    where: Bool[Tensor, "batch tokens"],
) -> Float[Tensor, "batch tokens width"]:
    """What leaves the network with the neurons; bit-identical where none is active."""
    active = neurons.excited(entered).relu() * where.to(entered.device)[..., None]
    added = active @ neurons.value.to(entered.device)
    some = (active > 0).any(-1, keepdim=True)
    return torch.where(some, left + added.to(left.dtype), left)


def adding(neurons: Neurons, where: Bool[Tensor, "batch tokens"]) -> FeedForwardChange:
    """The network with the neurons, at some tokens."""
    return lambda entered, left: patched(entered, left, neurons, where)
