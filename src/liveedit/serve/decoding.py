"""Each row of a batch ends for reasons of its own, and is told while it is decoded."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from transformers import StoppingCriteria

from liveedit.serve.jobs import Finish, Job, Said

_UNFINISHED = "�"  # what a tokenizer gives for part of a character


class Telling(StoppingCriteria):
    """Tells each row's job what is new, and ends rows that have nothing more to say.

    Args:
        jobs: One for each row.
        tokenizer: Of the model.
        start: Length of the prompts.
        ends: Ids of the tokens that end an answer.
    """

    def __init__(self, jobs: Sequence[Job], tokenizer: Any, *, start: int, ends: set[int]) -> None:
        self._rows = [_Row(job, tokenizer, ends) for job in jobs]
        self._start = start

    def __call__(
        self, input_ids: Int[Tensor, "batch length"], scores: Any, **kwargs: Any
    ) -> Bool[Tensor, " batch"]:
        """Which rows are done."""
        del scores, kwargs
        for row in self._rows:
            row.job.times.read = row.job.times.read or time.perf_counter()
        said = input_ids[:, self._start :].tolist()
        done = [row.update(ids) for row, ids in zip(self._rows, said, strict=True)]
        return torch.tensor(done, dtype=torch.bool, device=input_ids.device)

    def end(self) -> None:
        """Tell the end of the answers of which it was kept back."""
        for row in self._rows:
            row.end()


class _Row:
    """An answer that grows."""

    def __init__(self, job: Job, tokenizer: Any, ends: set[int]) -> None:
        self.job, self._tokenizer, self._ends = job, tokenizer, ends
        self._told = 0
        self._finish: Finish | None = None

    def update(self, ids: list[int]) -> bool:
        """Take up what was decoded; whether it is the end."""
        if self._finish is not None:
            return True
        finish: Finish | None = self.job.given_up
        ended = bool(ids) and ids[-1] in self._ends
        self.job.tokens = len(ids)
        text = self._tokenizer.decode(ids, skip_special_tokens=True).lstrip()
        cut = min((at for at in map(text.find, self.job.stop) if at >= 0), default=-1)
        if cut >= 0:
            text, finish = text[:cut], finish or "stop"
        elif ended:
            finish = finish or "stop"
        elif len(ids) >= self.job.max_tokens:
            finish = finish or "length"
        # what might still become a stop, white space at the end or part of a character is kept back
        sure = text.rstrip() if finish else text[: self._sure(text)]
        if len(sure) > self._told or finish:
            new = sure[self._told :]
            self._told = max(self._told, len(sure))
            self._finish = finish
            if finish is None or self.job.sampling.logprobs:  # whose end is told with them
                self.job.tell(Said(text=new))
            else:
                self.job.end(finish, new)
        return self._finish is not None

    def end(self) -> None:
        """Tell the end."""
        self.job.end(self._finish or "length")

    def _sure(self, text: str) -> int:
        kept = len(text.rstrip(_UNFINISHED).rstrip())
        for stop in self.job.stop:
            for length in range(min(len(stop) - 1, len(text)), 0, -1):
                if text.endswith(stop[:length]):
                    kept = min(kept, len(text) - length)
                    break
        return kept
