"""Waiting requests are answered together, by one thread; edits are made between batches."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from threading import Condition, Thread
from typing import Any, TypeVar

import torch
from transformers import StoppingCriteriaList

from liveedit.backbones.query import Questions
from liveedit.editor import EditedModel
from liveedit.errors import LiveEditError
from liveedit.serve.config import ServeConfig
from liveedit.serve.decoding import Telling
from liveedit.serve.failures import Refused
from liveedit.serve.jobs import Job, Said
from liveedit.store.pool import Pool, count_kinds

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_LINGER = 0.004  # seconds that a lone request waits for company
_LENGTHS = 4  # prompts of one batch differ by at most this factor: padding costs as much as words


class Batcher:
    """Decodes jobs in batches on a thread of its own.

    Namespaces take turns where more wait than fit into a batch.

    Args:
        model: What answers.
        config: Limits.
    """

    def __init__(self, model: EditedModel, config: ServeConfig) -> None:
        self.model, self.config = model, config
        self._jobs: deque[Job] = deque()
        self._tasks: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._changed = Condition()
        self._closing = False
        self.batches = self.decoded = 0
        self._thread = Thread(target=self._run, name="answers", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Jobs that wait for a batch."""
        return len(self._jobs)

    def submit(self, *jobs: Job) -> None:
        """Take jobs on, all or none.

        Raises:
            Refused: Too many wait already, or the server is closing.
        """
        with self._changed:
            self._refuse_if_closing()
            if len(self._jobs) + len(jobs) > self.config.waiting:
                raise Refused(
                    429, "too many requests wait; try again soon", code="overloaded", retry_after=1
                )
            self._jobs.extend(jobs)
            self._changed.notify()

    def between(self, task: Callable[[], _T]) -> Future[_T]:
        """Run something between two batches.

        Raises:
            Refused: The server is closing.
        """
        future: Future[_T] = Future()
        with self._changed:
            self._refuse_if_closing()
            self._tasks.append((task, future))
            self._changed.notify()
        return future

    def close(self, *, seconds: float) -> None:
        """Finish what has been taken on; what takes longer is given up."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(seconds)
        with self._changed:
            for job in self._jobs:
                job.cancelled.set()
        self._thread.join(seconds)

    def _refuse_if_closing(self) -> None:
        if self._closing:
            raise Refused(503, "the server is closing; ask another one", code="closing")

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._jobs or self._tasks or self._closing):
                    self._changed.wait()
                if not (self._jobs or self._tasks):
                    return
                task = self._tasks.popleft() if self._tasks else None
                lone = task is None and len(self._jobs) == 1
            if task is not None:
                _fulfil(*task)
                continue
            if lone:
                time.sleep(_LINGER)
            with self._changed:
                batch = list(self._batch())
            if batch:
                self._answer(batch)

    def _batch(self) -> Iterator[Job]:
        """The oldest job, and those that go with it: of each namespace in turn the oldest."""
        for job in [job for job in self._jobs if job.given_up]:
            self._jobs.remove(job)
            job.tell(Said(text="", finish=job.given_up))
        if not self._jobs:
            return
        first = self._jobs[0]
        low, high = len(first.prompt) / _LENGTHS, len(first.prompt) * _LENGTHS + 100
        turns: dict[str, deque[Job]] = {}
        for job in self._jobs:
            alike = low <= len(job.prompt) <= high and job.goes_with(first)
            if job is first or alike:
                turns.setdefault(job.namespace, deque()).append(job)
        left = self.config.batch
        while turns and left:
            for space in list(turns):
                if not left:
                    break
                job = turns[space].popleft()
                self._jobs.remove(job)
                yield job
                left -= 1
                if not turns[space]:
                    del turns[space]

    def _answer(self, jobs: list[Job]) -> None:
        try:
            answer(self.model, jobs)
        except LiveEditError as error:
            if len(jobs) > 1:  # one that cannot be answered keeps no other from its answer
                for job in jobs:
                    self._answer([job])
                return
            _fail(jobs, error)
        except Exception as error:
            _log.exception("a batch failed")
            _fail(jobs, error)
        else:
            self.batches += 1
            self.decoded += len(jobs)


def _fail(jobs: list[Job], error: Exception) -> None:
    for job in jobs:
        job.error = error
        job.tell(Said(text="", finish="stop"))


def _fulfil(task: Callable[[], Any], future: Future[Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(task())
    except BaseException as error:
        future.set_exception(error)


@torch.no_grad()
def answer(model: EditedModel, jobs: list[Job]) -> None:
    """Answer a batch; each job is told what it is given as it is decoded.

    Args:
        model: What answers.
        jobs: Of one revision and one way of choosing tokens.
    """
    pool = _pool_for(model, jobs)
    asked = Questions(
        pictures=[job.pictures for job in jobs],
        prompts=[job.prompt for job in jobs],
        histories=[job.history for job in jobs] if any(job.history for job in jobs) else None,
    )
    _tell_fired(model, jobs, asked, pool)
    backbone, sampling = model.backbone, jobs[0].sampling
    if sampling.seed is not None:
        torch.manual_seed(sampling.seed)
    with model.method.apply(asked, pool) as query:
        start = query.input_ids.shape[1]
        telling = Telling(jobs, backbone.tokenizer, start=start, ends=set(backbone.ends))
        options = {
            **sampling.options,
            "max_new_tokens": max(job.max_tokens for job in jobs),
            "stopping_criteria": StoppingCriteriaList([telling]),
        }
        if sampling.logprobs:
            options |= {"return_dict_in_generate": True, "output_logits": True}
        for job, length in zip(jobs, query.attention_mask.sum(1).tolist(), strict=True):
            job.prompt_tokens = length
        output = backbone.generate_output(query, options)
    if sampling.logprobs:  # which are told with the end of the answer
        _keep_logprobs(model, jobs, output, start)
        telling.end()


def _pool_for(model: EditedModel, jobs: list[Job]) -> Pool:
    """The edits of each job's namespace, none where they are disabled."""
    spaces = [job.namespace for job in jobs]
    pool = model.store.pool(None, namespaces=spaces, revision=jobs[0].revision)
    if any(job.disabled for job in jobs):
        eligible = pool.eligible.expand(len(jobs), -1).clone()
        eligible[[at for at, job in enumerate(jobs) if job.disabled]] = False
        pool = replace(pool, eligible=eligible, crowd=count_kinds(eligible, pool.keys.sees))
    return pool


def _tell_fired(model: EditedModel, jobs: list[Job], asked: Questions, pool: Pool) -> None:
    for job in jobs:
        job.seen_revision = pool.revision
    if not pool.eligible.any():
        return
    route, near = model.method.route(asked.alone, pool)
    for job, weights in zip(jobs, route.weights, strict=True):
        used = weights.nonzero().flatten().tolist()
        job.fired = {near.ids[at]: round(weights[at].item(), 4) for at in used}


def _keep_logprobs(model: EditedModel, jobs: list[Job], output: Any, start: int) -> None:
    decode = model.backbone.tokenizer.decode
    for row, job in enumerate(jobs):
        for at in range(min(job.tokens, len(output.logits))):
            scores = output.logits[at][row].float().log_softmax(-1)
            top = scores.topk(20)
            token = int(output.sequences[row, start + at])
            job.logprobs.append(
                {
                    "token": decode([token]),
                    "logprob": scores[token].item(),
                    "top": [(decode([one]), value) for one, value in
                            zip(top.indices.tolist(), top.values.tolist(), strict=True)],
                }
            )  # fmt: skip
