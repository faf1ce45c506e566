"""Waiting requests are answered together, by one thread; edits have their turn between batches."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from threading import Condition, Thread
from typing import Any, TypeVar

from liveedit.editor import EditedModel
from liveedit.errors import LiveEditError
from liveedit.serve.answering import answer
from liveedit.serve.config import ServeConfig
from liveedit.serve.failures import Refused
from liveedit.serve.jobs import Job, Said
from liveedit.serve.metrics import Change, Metrics
from liveedit.serve.tasks import Task
from liveedit.serve.tracing import record

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_LINGER = 0.1  # of the time that the last batch took, its clients may take to come again
_LENGTHS = 4  # prompts of one batch differ by at most this factor: padding costs as much as words


class Batcher:
    """Decodes jobs in batches on a thread of its own.

    Namespaces take turns where more wait than fit into a batch, and so do edits and batches where
    both wait.

    Args:
        model: What answers.
        config: Limits.
        metrics: Told of everything that is done.
    """

    def __init__(
        self, model: EditedModel, config: ServeConfig, metrics: Metrics | None = None
    ) -> None:
        self.model, self.config, self.metrics = model, config, metrics or Metrics()
        self._jobs: deque[Job] = deque()
        self._tasks: deque[Task[Any]] = deque()
        self._changed = Condition()
        self._closing = False
        self._last = 0  # jobs of the last batch
        self.batches = self.decoded = 0
        self._thread = Thread(target=self._run, name="answers", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread that answers is there."""
        return self._thread.is_alive()

    @property
    def closing(self) -> bool:
        """Whether nothing more is taken on."""
        return self._closing

    @property
    def edits_waiting(self) -> int:
        """Edits and the like that wait for their turn."""
        return len(self._tasks)

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

    def between(self, task: Callable[[], _T], change: Change = "add") -> Future[_T]:
        """Run something between two batches.

        Args:
            task: Does it.
            change: What it is, for the metrics.

        Raises:
            Refused: Too much waits already, or the server is closing; as the future's exception
                where its turn comes too late.
        """
        deadline = time.monotonic() + self.config.seconds
        made = Task(run=task, change=change, deadline=deadline)
        with self._changed:
            self._refuse_if_closing()
            if len(self._tasks) >= self.config.edits_waiting:
                raise Refused(
                    429, "too many edits wait; try again soon", code="overloaded", retry_after=1
                )
            self._tasks.append(made)
            self._changed.notify()
        return made.future

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
        after_task, took = False, 0.0
        while True:
            with self._changed:
                while not (self._jobs or self._tasks or self._closing):
                    self._changed.wait()
                if not (self._jobs or self._tasks):
                    return
                batch_next = bool(self._jobs) and (after_task or not self._tasks)
                task = None if batch_next else self._tasks.popleft()
            after_task = task is not None
            if task is not None:
                self._do(task)
                continue
            with self._changed:
                self._changed.wait_for(self._all_are_here, timeout=_LINGER * took)
                batch = list(self._batch())
            if batch:
                began, self._last = time.monotonic(), len(batch)
                self._answer(batch)
                took = time.monotonic() - began

    def _all_are_here(self) -> bool:
        """Whether as many wait as were answered last, or something else is to be done."""
        return len(self._jobs) >= self._last or bool(self._tasks) or self._closing

    def _do(self, task: Task[Any]) -> None:
        began = time.perf_counter()
        if task.fulfil():
            seconds = time.perf_counter() - began
            self.metrics.change(task.change, seconds, task.future.exception())

    def _batch(self) -> Iterator[Job]:
        """The oldest job, and those that go with it: of each namespace in turn the oldest."""
        for job in [job for job in self._jobs if job.given_up]:
            self._jobs.remove(job)
            job.end(job.given_up or "cancelled")
            self.metrics.answer(job)
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
        for job in jobs:
            job.times.begun, job.times.read = time.perf_counter(), 0.0
        try:
            answer(self.model, jobs)
        except LiveEditError as error:
            if len(jobs) > 1:  # one that cannot be answered keeps no other from its answer
                for job in jobs:
                    self._answer([job])
                return
            self._fail(jobs, error)
        except Exception as error:
            _log.exception("a batch failed")
            self._fail(jobs, error)
        else:
            self.batches += 1
            self.decoded += len(jobs)
            self.metrics.batch(jobs)
            for job in jobs:
                record(job)

    def _fail(self, jobs: list[Job], error: Exception) -> None:
        for job in jobs:
            job.error = error
            self.metrics.answer(job)
            job.tell(Said(text="", finish="stop"))
