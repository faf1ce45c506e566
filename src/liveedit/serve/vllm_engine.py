"""Answers from a vLLM server that has the plugin (``liveedit.vllm``), by its OpenAI interface.

Edits are made in this process and written to the store that the engine reads. Each request names
the namespace and the revision that answer it, so that a correction holds from the next request on,
and no caller chooses what others' namespaces hold.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Sequence
from threading import Thread
from typing import Any, TypeVar
from urllib.parse import urlsplit

from openai import (
    APIConnectionError,
    APIError,
    AsyncOpenAI,
    DefaultAsyncHttpxClient,
    NotFoundError,
    Timeout,
)

from liveedit.editor import EditedModel
from liveedit.errors import CannotServe
from liveedit.serve.config import ServeConfig
from liveedit.serve.failures import Refused
from liveedit.serve.jobs import Finish, Job, Said
from liveedit.serve.metrics import Metrics
from liveedit.serve.tracing import record
from liveedit.serve.vllm_answers import answer
from liveedit.serve.vllm_checks import check
from liveedit.serve.vllm_failures import refusal, unreachable

_log = logging.getLogger(__name__)
_POLL = 0.25  # seconds between looks at whether anybody still wants the answer
_PATIENCE = 2.0  # seconds for being told whether it is there
_T = TypeVar("_T")


class VllmEngine:
    """A vLLM server, asked from a thread of its own.

    Args:
        url: Where it listens, as ``http://127.0.0.1:8001``.
        metrics: Told of every answer.
        model: What makes the edits; the engine must have the same weights, and read the same store.
        config: Limits.
        key: Its API key, if it has one.
        wait: Seconds that it may take until it is there; a large model is loaded for minutes.

    Raises:
        EngineUnreachable: Nothing answers there.
        CannotServe: It answers without edits, or with those of another store, or it puts questions
            to the model in another form.
    """

    def __init__(
        self,
        url: str,
        metrics: Metrics,
        *,
        model: EditedModel,
        config: ServeConfig,
        key: str | None = None,
        wait: float = 0.0,
    ) -> None:
        self.config, self.metrics = config, metrics
        self._root, self._model, self._store = _root(url), model, model.store
        self._asked: set[Job] = set()
        self._closing = False
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="engine", daemon=True)
        self._thread.start()
        self._client = AsyncOpenAI(
            base_url=f"{self._root}/v1",
            api_key=key or "none",
            max_retries=0,
            timeout=Timeout(self.config.seconds, connect=_PATIENCE),
            http_client=DefaultAsyncHttpxClient(trust_env=False),
        )
        try:
            until = time.monotonic() + wait
            self._found = self._run(check(self._client, self._root, model, until))
        except BaseException:
            self.close(seconds=_PATIENCE)
            raise

    @property
    def waiting(self) -> int:
        """Jobs that wait for their answer; vLLM has a queue of its own."""
        return len(self._asked)

    def submit(self, *jobs: Job) -> None:
        """See :class:`liveedit.serve.engine.Engine`."""
        if self._closing:
            raise Refused(503, "the server is closing; ask another one", code="closing")
        if len(self._asked) + len(jobs) > self.config.waiting:
            raise Refused(
                429, "too many requests wait; try again soon", code="overloaded", retry_after=1
            )
        self._asked.update(jobs)
        asyncio.run_coroutine_threadsafe(self._answer(jobs), self._loop)

    def problem(self) -> str | None:
        """See :class:`liveedit.serve.engine.EngineBeside`."""
        try:
            self._run(self._look())
        except APIConnectionError:
            return "the engine does not answer"
        except APIError:
            return "the engine is not well"
        return None

    async def _look(self) -> None:
        shortly = self._client.with_options(timeout=_PATIENCE)
        try:
            await shortly.get(f"{self._root}/health", cast_to=object)
        except NotFoundError:  # Ray Serve before vLLM
            await shortly.models.list()

    def close(self, *, seconds: float) -> None:
        """See :class:`liveedit.serve.engine.Engine`."""
        self._closing = True
        until = time.monotonic() + seconds
        while self._asked and time.monotonic() < until:
            time.sleep(0.05)
        for job in list(self._asked):
            job.cancelled.set()
        if self._loop.is_running():
            self._run(self._client.close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_PATIENCE)

    def _run(self, what: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result()

    async def _answer(self, jobs: Sequence[Job]) -> None:
        """Have the choices of one request decoded, and tell them."""
        first = jobs[0]
        for job in jobs:
            job.times.begun = time.perf_counter()
            job.seen_revision = self._store.revision if job.revision is None else job.revision
        asking = asyncio.ensure_future(
            answer(self._client, self._found, self._model.backbone.ends, jobs)
        )
        try:
            while not asking.done() and not first.given_up:
                await asyncio.wait((asking,), timeout=_POLL)
            if asking.done():
                await asking
            else:
                _end(jobs, first.given_up or "cancelled")
        except APIConnectionError:
            _fail(jobs, unreachable(self._root, "it does not answer"))
        except APIError as error:
            _fail(jobs, refusal(self._root, error))
        except Exception as error:
            _log.exception("an answer failed")
            _fail(jobs, error)
        finally:
            asking.cancel()
            for job in jobs:
                self.metrics.answer(job)
                record(job)
            self._asked.difference_update(jobs)


def _end(jobs: Sequence[Job], finish: Finish) -> None:
    for job in jobs:
        if job.finish is None:
            job.end(finish)


def _fail(jobs: Sequence[Job], error: Exception) -> None:
    for job in jobs:
        if job.finish is None:
            job.error = error
            job.tell(Said(text="", finish="stop"))


def _root(url: str) -> str:
    """Without what stands behind the port, which people copy along.

    Raises:
        CannotServe: It is no address.
    """
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CannotServe(f"{url!r} is no address of an engine; give one as http://127.0.0.1:8001")
    return f"{parts.scheme}://{parts.netloc}"
