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
from secrets import token_hex
from threading import Thread
from typing import Any, TypeVar
from urllib.parse import urlsplit

from openai import (
    APIConnectionError,
    APIError,
    APIStatusError,
    AsyncOpenAI,
    DefaultAsyncHttpxClient,
    Timeout,
)

from liveedit.editor import EditedModel
from liveedit.errors import CannotServe, EngineRefused, EngineUnreachable
from liveedit.serve.config import ServeConfig
from liveedit.serve.failures import Refused
from liveedit.serve.jobs import Finish, Job, Said
from liveedit.serve.messages import messages_of
from liveedit.serve.metrics import Metrics
from liveedit.serve.tracing import record

_log = logging.getLogger(__name__)
NAMESPACE, REVISION, DISABLED = "liveedit_namespace", "liveedit_revision", "liveedit_disabled"
_QUESTION = "What is this?"  # by which its form is seen
_TOP_LOGPROBS = 20
_POLL = 0.25  # seconds between looks at whether anybody still wants the answer
_PAUSE = 0.5  # seconds between looks at whether it is there
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
        self._adds_tokens = False
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
            self.name = self._run(self._check(time.monotonic() + wait))
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
            shortly = self._client.with_options(timeout=_PATIENCE)
            self._run(shortly.get(f"{self._root}/health", cast_to=object))
        except APIConnectionError:
            return "the engine does not answer"
        except APIError:
            return "the engine is not well"
        return None

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

    async def _named(self, until: float) -> str:
        """What it calls its model, once it is there."""
        told = False
        while True:
            try:
                return (await self._client.models.list()).data[0].id
            except APIConnectionError:
                if time.monotonic() > until:
                    raise
            if not told:
                _log.warning("waiting for the engine at %s", self._root)
                told = True
            await asyncio.sleep(_PAUSE)

    async def _check(self, until: float) -> str:
        """Make sure that it answers with edits of this store; what it calls its model."""
        try:
            name = await self._named(until)
            if await self._tokens(name, {DISABLED: 1}) is None:
                raise CannotServe(
                    f"the engine at {self._root} takes no messages; give it a chat template "
                    "(--chat-template), or a model that has one"
                )
            if await self._tokens(name, {NAMESPACE: f"none {token_hex(8)}"}) is not None:
                raise CannotServe(
                    f"the engine at {self._root} answers without edits: its plugin is not at work; "
                    "start it with --additional-config (docs/vllm.md), and look for 'Failed to "
                    "load plugin liveedit' in what it says"
                )
            found = await self._tokens(name, {REVISION: self._store.revision})
            if found is None:
                raise CannotServe(
                    f"the engine at {self._root} does not know revision {self._store.revision} of "
                    "the store: it reads another one; give both the same --store"
                )
            backbone = self._model.backbone
            expected = backbone.encode(backbone.prompt_text(_QUESTION, images=0))
            if found != expected:
                self._adds_tokens = True
                found = await self._tokens(name, {DISABLED: 1})
            if found != expected:
                raise CannotServe(
                    f"the engine at {self._root} puts questions to its model in another form than "
                    "the one that edits are made in; start it with the model's own chat template"
                )
        except APIConnectionError as error:
            raise _unreachable(self._root, "nothing answers there") from error
        except APIError as error:
            raise _unreachable(self._root, _said(error)) from error
        return name

    async def _tokens(self, name: str, fields: dict[str, Any]) -> list[int] | None:
        """Tokens of a prompt with these fields; None if it is not taken on."""
        try:
            answer = await self._client.chat.completions.create(
                model=name,
                messages=[{"role": "user", "content": _QUESTION}],
                max_tokens=1,
                extra_body={
                    "vllm_xargs": fields,
                    "return_token_ids": True,
                    "add_special_tokens": self._adds_tokens,
                },
            )
        except APIStatusError as error:
            if error.status_code in (400, 404, 422):
                return None
            raise
        return getattr(answer, "prompt_token_ids", None) or []

    async def _answer(self, jobs: Sequence[Job]) -> None:
        """Have the choices of one request decoded, and tell them."""
        first = jobs[0]
        for job in jobs:
            job.times.begun = time.perf_counter()
            job.seen_revision = self._store.revision if job.revision is None else job.revision
        asking = asyncio.ensure_future(self._stream(jobs))
        try:
            while not asking.done() and not first.given_up:
                await asyncio.wait((asking,), timeout=_POLL)
            if asking.done():
                await asking
            else:
                _end(jobs, first.given_up or "cancelled")
        except APIConnectionError:
            _fail(jobs, _unreachable(self._root, "it does not answer"))
        except APIError as error:
            _fail(jobs, _refusal(self._root, error))
        except Exception as error:
            _log.exception("an answer failed")
            _fail(jobs, error)
        finally:
            asking.cancel()
            for job in jobs:
                self.metrics.answer(job)
                record(job)
            self._asked.difference_update(jobs)

    async def _stream(self, jobs: Sequence[Job]) -> None:
        first = jobs[0]
        sampling = first.sampling
        fields: dict[str, Any] = {NAMESPACE: first.namespace, REVISION: first.seen_revision}
        # vLLM refuses to say the likeliest several times
        choices = 1 if sampling.temperature == 0 else len(jobs)
        options: dict[str, Any] = {"logprobs": True, "top_logprobs": _TOP_LOGPROBS}
        stream = await self._client.chat.completions.create(
            model=self.name,
            messages=await asyncio.to_thread(messages_of, first),
            stream=True,
            stream_options={"include_usage": True},
            n=choices,
            max_tokens=first.max_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            seed=sampling.seed,
            stop=list(first.stop) or None,
            extra_body={
                "vllm_xargs": {DISABLED: 1} if first.disabled else fields,
                "stop_token_ids": self._model.backbone.ends,
                "add_special_tokens": self._adds_tokens,
                "return_token_ids": True,
            },
            **(options if sampling.logprobs else {}),
        )
        rows = [_Row(job) for job in jobs]
        async with stream:
            async for chunk in stream:
                for choice in chunk.choices:
                    for row in rows if choices == 1 else (rows[choice.index],):
                        row.update(choice)
                if chunk.usage is not None:
                    for job in jobs:
                        job.prompt_tokens = chunk.usage.prompt_tokens
        for row in rows:
            row.end()


class _Row:
    """An answer that grows; white space around it is not told."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._begun = False
        self._kept = ""
        self._finish: Finish = "stop"

    def update(self, choice: Any) -> None:
        """Take up a piece of a stream."""
        job = self.job
        job.times.read = job.times.read or time.perf_counter()
        job.tokens += len(getattr(choice, "token_ids", None) or ())
        text = self._kept + (choice.delta.content or "")
        text = text if self._begun else text.lstrip()
        sure = text.rstrip()
        self._kept = text[len(sure) :]
        self._begun = self._begun or bool(sure)
        for one in choice.logprobs.content or () if choice.logprobs else ():
            top = [(each.token, each.logprob) for each in one.top_logprobs]
            job.logprobs.append({"token": one.token, "logprob": one.logprob, "top": top})
        self._finish = "length" if choice.finish_reason == "length" else "stop"
        if sure:
            job.tell(Said(text=sure))

    def end(self) -> None:
        """Tell the end, which comes after the counts of tokens."""
        self.job.end(self._finish)


def _end(jobs: Sequence[Job], finish: Finish) -> None:
    for job in jobs:
        if job.finish is None:
            job.end(finish)


def _fail(jobs: Sequence[Job], error: Exception) -> None:
    for job in jobs:
        if job.finish is None:
            job.error = error
            job.tell(Said(text="", finish="stop"))


def _refusal(root: str, error: APIError) -> Exception:
    """Of a request, or within a stream, where the status is in what is told."""
    told = error.body.get("code") if isinstance(error.body, dict) else None
    status = error.status_code if isinstance(error, APIStatusError) else told
    if isinstance(status, int) and status < 500:
        return EngineRefused(f"the engine refuses it: {_said(error)}")
    return _unreachable(root, _said(error))


def _said(error: APIError) -> str:
    """What the engine says of it, without what its client adds."""
    told = error.body.get("message") if isinstance(error.body, dict) else None
    return str(told or error.message)


def _unreachable(root: str, problem: str) -> EngineUnreachable:
    return EngineUnreachable(
        f"the engine at {root} cannot answer ({problem}); look whether vLLM runs there"
    )


def _root(url: str) -> str:
    """Without what stands behind the port, which people copy along.

    Raises:
        CannotServe: It is no address.
    """
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CannotServe(f"{url!r} is no address of an engine; give one as http://127.0.0.1:8001")
    return f"{parts.scheme}://{parts.netloc}"
