"""Passes of the model that answer a batch: the prompt's own, then those that go on from it."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from liveedit.backbones.spans import Spans
from liveedit.errors import UnsupportedGeneration


def answering(spans: Spans) -> Bool[Tensor, "batch length"]:
    """The last token of each prompt and all behind it: what an answer is made of."""
    length = spans.prompt.shape[1]
    at = torch.arange(length, device=spans.prompt.device)
    last = torch.where(spans.prompt, at, -1).amax(1, keepdim=True)
    return (at >= last) & ((at == last) | spans.target)


def at_last(
    states: Float[Tensor, "batch length width"], spans: Spans
) -> Float[Tensor, "batch width"]:
    """Float32 states at the last token of each prompt."""
    at = answering(spans).float().argmax(1).to(states.device)
    return states[torch.arange(len(states), device=states.device), at].float()


class Passes:
    """Which rows and tokens of a pass belong to which question.

    The first pass (prefill) holds the prompts whole; later ones hold one token each with a cache,
    and the whole sequence without. Beam search and several sequences repeat rows.

    Args:
        spans: Of the prompts.
    """

    def __init__(self, spans: Spans) -> None:
        self.rows, self.length = spans.prompt.shape
        self._answering = answering(spans)
        self._times = 0

    @property
    def begun(self) -> bool:
        """Whether the first pass was seen."""
        return self._times > 0

    def times(self, hidden: Float[Tensor, "rows length width"]) -> int:
        """How many rows of a pass stand for one question.

        Raises:
            UnsupportedGeneration: The first pass does not hold the whole prompt, or rows
                disappeared.
        """
        times, rest = divmod(hidden.shape[0], self.rows)
        if not self.begun and (hidden.shape[1] != self.length or rest):
            raise UnsupportedGeneration(
                "the prompt must be processed in one pass; do not pass prefill_chunk_size or a "
                "cache that was filled before"
            )
        if rest or times < self._times:
            raise UnsupportedGeneration(
                "rows disappeared while generating; use a way of decoding that keeps the batch"
            )
        self._times = times
        return times

    def answers(self, hidden: Float[Tensor, "rows length width"]) -> Bool[Tensor, "rows length"]:
        """Tokens of a pass that an answer is made of, the last token of the prompt among them."""
        more = hidden.shape[1] - self.length
        if more < 0:
            return torch.ones(hidden.shape[:2], dtype=torch.bool, device=hidden.device)
        rest = self._answering.new_ones(self.rows, more)
        own = torch.cat([self._answering, rest], 1).to(hidden.device)
        return own.repeat_interleave(hidden.shape[0] // self.rows, 0)
