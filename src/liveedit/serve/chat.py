"""``POST /v1/chat/completions``, whole or as a stream."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from secrets import token_hex
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.responses import Response

from liveedit.editor.inputs import open_conversations
from liveedit.errors import LiveEditError
from liveedit.serve.failures import Refused, refusal_of
from liveedit.serve.jobs import Finish, Job, Said, Sampling
from liveedit.serve.schema import ChatRequest, as_conversation, pictures_in
from liveedit.serve.state import Server, caller_of, server_of

router = APIRouter()
_POLL = 0.25  # seconds between looks at whether the client is still there


@router.post("/v1/chat/completions", response_model=None)
async def chat_completions(asked: ChatRequest, request: Request) -> Response:
    """Answer a conversation with the edits that concern its last question."""
    server = server_of(request)
    caller = caller_of(request).require("ask")
    namespace = caller.namespace("ask", asked.namespace)
    _check(asked, server)
    loop = asyncio.get_running_loop()
    news: asyncio.Queue[tuple[int, Said]] = asyncio.Queue()
    jobs = await asyncio.to_thread(_jobs, asked, namespace, server, loop, news)
    server.batcher.submit(*jobs)
    reply = _Reply(asked, jobs, server)
    if asked.stream:
        events = _stream(reply, news, request)
        return StreamingResponse(events, media_type="text/event-stream", headers=_HEADERS)
    texts, finished = [""] * len(jobs), [""] * len(jobs)
    async for at, said in _news(jobs, news, request):
        texts[at] += said.text
        finished[at] = said.finish or ""
    return JSONResponse(reply.whole(texts, finished), headers=reply.headers)


_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def _check(asked: ChatRequest, server: Server) -> None:
    limits = server.config
    if asked.n > limits.choices:
        raise Refused(400, f"n is {asked.n}; at most {limits.choices} are given", param="n")
    if pictures_in(asked.messages) > limits.pictures:
        raise Refused(400, f"more than {limits.pictures} pictures", param="messages")
    if asked.model and asked.model not in server.names:
        raise Refused(
            404, f"there is no model {asked.model!r}; this server has {', '.join(server.names)}",
            code="model_not_found", param="model",
        )  # fmt: skip
    newest = server.model.store.revision
    if asked.revision is not None and asked.revision > newest:
        raise Refused(404, f"the newest revision is {newest}", param="revision")


def _jobs(
    asked: ChatRequest,
    namespace: str,
    server: Server,
    loop: asyncio.AbstractEventLoop,
    news: asyncio.Queue[tuple[int, Said]],
) -> list[Job]:
    """One for each choice.

    Raises:
        Refused: The conversation cannot be read.
    """
    try:
        opened = open_conversations([as_conversation(asked.messages)])
        assert opened.histories is not None
        for text in (opened.prompts[0], *_texts(opened.histories[0])):
            server.model.backbone.checked(text)
    except ValueError as error:
        raise Refused(400, str(error), param="messages") from error
    except LiveEditError as error:
        raise refusal_of(error) from error
    limits = server.config
    wanted = asked.max_completion_tokens or asked.max_tokens or limits.max_tokens
    sampling = Sampling(
        temperature=asked.temperature or 0.0,
        top_p=1.0 if asked.top_p is None else asked.top_p,
        seed=asked.seed if asked.temperature else None,
        logprobs=asked.logprobs,
    )

    def teller(at: int) -> Any:
        return lambda said: loop.call_soon_threadsafe(news.put_nowait, (at, said))

    return [
        Job(
            pictures=opened.pictures[0],
            prompt=opened.prompts[0],
            history=opened.histories[0],
            namespace=namespace,
            disabled=not asked.edits,
            revision=asked.revision,
            sampling=sampling,
            max_tokens=min(wanted, limits.max_tokens),
            stop=[asked.stop] if isinstance(asked.stop, str) else asked.stop or [],
            deadline=time.monotonic() + limits.seconds,
            tell=teller(at),
        )
        for at in range(asked.n)
    ]


def _texts(history: Sequence[Mapping[str, Any]]) -> list[str]:
    return [part["text"] for one in history for part in one["content"] if part["type"] == "text"]


async def _news(
    jobs: list[Job], news: asyncio.Queue[tuple[int, Said]], request: Request
) -> AsyncIterator[tuple[int, Said]]:
    """What is new of the answers, until all have ended; a client that goes ends them.

    Raises:
        Refused: There is no answer.
    """
    left = len(jobs)
    try:
        while left:
            try:
                at, said = await asyncio.wait_for(news.get(), _POLL)
            except TimeoutError:
                if await request.is_disconnected():
                    return
                continue
            job = jobs[at]
            if isinstance(job.error, LiveEditError):
                raise refusal_of(job.error)
            if job.error is not None:
                raise Refused(500, "the answer could not be made; the log says why")
            if said.finish == "timeout" and not job.tokens:
                raise Refused(503, "no answer in time; try again", code="timeout", retry_after=5)
            left -= said.finish is not None
            yield at, said
    finally:
        for job in jobs:
            job.cancelled.set()


async def _stream(
    reply: _Reply, news: asyncio.Queue[tuple[int, Said]], request: Request
) -> AsyncIterator[str]:
    begun: set[int] = set()
    try:
        async for at, said in _news(reply.jobs, news, request):
            if at not in begun:  # before, it is not known as of which revision it is answered
                begun.add(at)
                yield reply.event(at, {"role": "assistant", "content": ""}, None)
            if said.text:
                yield reply.event(at, {"content": said.text}, None)
            if said.finish:
                yield reply.event(at, {}, said.finish)
    except Refused as error:
        yield f"data: {json.dumps(error.body)}\n\n"
        return
    options = reply.asked.stream_options
    if options is not None and options.include_usage:
        yield f"data: {json.dumps({**reply.head, 'choices': [], 'usage': reply.usage})}\n\n"
    yield "data: [DONE]\n\n"


class _Reply:
    """The answers to one request, in OpenAI's form."""

    def __init__(self, asked: ChatRequest, jobs: list[Job], server: Server) -> None:
        self.asked, self.jobs = asked, jobs
        self._kind = "chat.completion.chunk" if asked.stream else "chat.completion"
        self._id, self._created = f"chatcmpl-{token_hex(12)}", int(time.time())
        self._model = asked.model or server.names[0]

    @property
    def head(self) -> dict[str, Any]:
        """What every object says."""
        return {
            "id": self._id,
            "object": self._kind,
            "created": self._created,
            "model": self._model,
            "system_fingerprint": f"revision-{self.jobs[0].seen_revision}",
        }

    @property
    def usage(self) -> dict[str, int]:
        """Tokens of the question, and of all answers."""
        asked, said = self.jobs[0].prompt_tokens, sum(job.tokens for job in self.jobs)
        return {
            "prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said
        }  # fmt: skip

    @property
    def edits(self) -> dict[str, Any]:
        """Which edits answered, as of which revision."""
        job = self.jobs[0]
        return {"revision": job.seen_revision, "fired": dict(job.fired)}

    @property
    def headers(self) -> dict[str, str]:
        """The same for those who read no body."""
        return {"X-LiveEdit-Revision": str(self.jobs[0].seen_revision)}

    def whole(self, texts: Sequence[str], finished: Sequence[str]) -> dict[str, Any]:
        """All at once."""
        choices = [
            {
                "index": at,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "finish_reason": _reason(finish),
                "logprobs": self._logprobs(at),
            }
            for at, (text, finish) in enumerate(zip(texts, finished, strict=True))
        ]
        return {**self.head, "choices": choices, "usage": self.usage, "liveedit": self.edits}

    def event(self, at: int, delta: Mapping[str, Any], finish: Finish | None) -> str:
        """A piece of a stream."""
        choice = {
            "index": at,
            "delta": delta,
            "finish_reason": None if finish is None else _reason(finish),
            "logprobs": self._logprobs(at) if finish else None,
        }
        more = {"liveedit": self.edits} if finish else {}
        return f"data: {json.dumps({**self.head, 'choices': [choice], **more})}\n\n"

    def _logprobs(self, at: int) -> dict[str, Any] | None:
        if not self.asked.logprobs:
            return None
        shown = self.asked.top_logprobs
        content = [
            {
                **_token(one["token"], one["logprob"]),
                "top_logprobs": [_token(token, value) for token, value in one["top"][:shown]],
            }
            for one in self.jobs[at].logprobs
        ]
        return {"content": content, "refusal": None}


def _token(text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, "bytes": [*text.encode()]}


def _reason(finish: str) -> str:
    return "stop" if finish in ("stop", "") else "length"
