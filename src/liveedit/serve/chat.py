"""``POST /v1/chat/completions``, whole or as a stream."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.responses import Response

from liveedit.editor.inputs import open_conversations
from liveedit.errors import LiveEditError
from liveedit.serve.failures import Refused, refusal_of
from liveedit.serve.jobs import Job, Said, Sampling, facts_of
from liveedit.serve.observed import tell
from liveedit.serve.replies import Reply
from liveedit.serve.schema import ChatRequest, as_conversation, pictures_in
from liveedit.serve.state import Server, caller_of, server_of
from liveedit.serve.told import Completion
from liveedit.serve.tracing import current

router = APIRouter()
_POLL = 0.25  # seconds between looks at whether the client is still there


@router.post(
    "/v1/chat/completions", response_model=None,
    responses={200: {"model": Completion, "content": {"text/event-stream": {}}}},
)  # fmt: skip
async def chat_completions(asked: ChatRequest, request: Request) -> Response:
    """Answer a conversation with the edits that concern its last question."""
    server = server_of(request)
    caller = caller_of(request).require("ask")
    namespace = caller.namespace("ask", asked.namespace)
    _check(asked, server)
    loop = asyncio.get_running_loop()
    news: asyncio.Queue[tuple[int, Said]] = asyncio.Queue()
    jobs = await asyncio.to_thread(_jobs, asked, namespace, server, loop, news, current())
    server.engine.submit(*jobs)
    reply = Reply(asked, jobs, server)
    if asked.stream:
        events = _stream(reply, news, request, server.config.log_prompts)
        return StreamingResponse(events, media_type="text/event-stream", headers=_HEADERS)
    texts, finished = [""] * len(jobs), [""] * len(jobs)
    async for at, said in _news(jobs, news, request):
        texts[at] += said.text
        finished[at] = said.finish or ""
    if server.config.log_prompts:
        tell(request.scope, prompt=jobs[0].prompt, answers=texts)
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
    trace: object,
) -> list[Job]:
    """One for each choice.

    Raises:
        Refused: The conversation cannot be read.
    """
    try:
        opened = open_conversations([as_conversation(asked.messages, server.fetch)])
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
            whole=not asked.stream,
            tell=teller(at),
            trace=trace,
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
        tell(request.scope, **facts_of(jobs))
        for job in jobs:
            job.cancelled.set()


async def _stream(
    reply: Reply, news: asyncio.Queue[tuple[int, Said]], request: Request, log_prompts: bool
) -> AsyncIterator[str]:
    begun: set[int] = set()
    texts = [""] * len(reply.jobs)
    try:
        async for at, said in _news(reply.jobs, news, request):
            if at not in begun:  # before, it is not known as of which revision it is answered
                begun.add(at)
                yield reply.event(at, {"role": "assistant", "content": ""}, None)
            texts[at] += said.text
            if said.text:
                yield reply.event(at, {"content": said.text}, None)
            if said.finish:
                yield reply.event(at, {}, said.finish)
    except Refused as error:
        yield f"data: {json.dumps(error.body)}\n\n"
        return
    if log_prompts:
        tell(request.scope, prompt=reply.jobs[0].prompt, answers=texts)
    options = reply.asked.stream_options
    if options is not None and options.include_usage:
        yield f"data: {json.dumps({**reply.head, 'choices': [], 'usage': reply.usage})}\n\n"
    yield "data: [DONE]\n\n"
