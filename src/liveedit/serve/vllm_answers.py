"""Answers to requests from a vLLM server, told as they come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from openai import APIConnectionError, APITimeoutError, AsyncOpenAI

from liveedit.serve.jobs import Finish, Job, Said
from liveedit.serve.messages import messages_of
from liveedit.serve.vllm_checks import DISABLED, NAMESPACE, REVISION, Found

_TOP_LOGPROBS = 20


async def answer(
    client: AsyncOpenAI, found: Found, ends: Sequence[int], jobs: Sequence[Job]
) -> None:
    """Have the choices of one request decoded, and tell them.

    A connection that breaks is tried once more where nothing was told yet: of several servers
    behind a balancer another one answers.

    Args:
        client: Of the server.
        found: What it is asked by.
        ends: Tokens that end an answer.
        jobs: One for each choice; they differ in nothing else.

    Raises:
        openai.APIError: It does not answer, or refuses.
    """
    for again in (False, True):
        rows = [_Row(job) for job in jobs]
        try:
            return await _stream(client, found, ends, rows)
        except APITimeoutError:
            raise
        except APIConnectionError:
            if again or any(row.told for row in rows):
                raise


async def _stream(
    client: AsyncOpenAI, found: Found, ends: Sequence[int], rows: Sequence[_Row]
) -> None:
    first = rows[0].job
    sampling = first.sampling
    fields: dict[str, Any] = {NAMESPACE: first.namespace, REVISION: first.seen_revision}
    # vLLM refuses to say the likeliest several times
    choices = 1 if sampling.temperature == 0 else len(rows)
    options: dict[str, Any] = {"logprobs": True, "top_logprobs": _TOP_LOGPROBS}
    stream = await client.chat.completions.create(
        model=found.name,
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
            "stop_token_ids": ends,
            "add_special_tokens": found.adds_tokens,
            "return_token_ids": True,
        },
        **(options if sampling.logprobs else {}),
    )
    async with stream:
        async for chunk in stream:
            for choice in chunk.choices:
                for row in rows if choices == 1 else (rows[choice.index],):
                    row.update(choice)
            if chunk.usage is not None:
                for row in rows:
                    row.job.prompt_tokens = chunk.usage.prompt_tokens
    for row in rows:
        row.end()


class _Row:
    """An answer that grows; white space around it is not told."""

    def __init__(self, job: Job) -> None:
        self.job, self.told = job, False
        self._kept = ""
        self._finish: Finish = "stop"
        job.tokens, job.times.read = 0, 0.0
        job.logprobs.clear()

    def update(self, choice: Any) -> None:
        """Take up a piece of a stream."""
        job = self.job
        job.times.read = job.times.read or time.perf_counter()
        job.tokens += len(getattr(choice, "token_ids", None) or ())
        for one in choice.logprobs.content or () if choice.logprobs else ():
            top = [(each.token, each.logprob) for each in one.top_logprobs]
            job.logprobs.append({"token": one.token, "logprob": one.logprob, "top": top})
        self._finish = "length" if choice.finish_reason == "length" else "stop"
        self._kept += choice.delta.content or ""
        if not job.whole:
            self._tell()

    def end(self) -> None:
        """Tell the end, which comes after the counts of tokens."""
        self._tell()
        self.job.end(self._finish)

    def _tell(self) -> None:
        text = self._kept if self.told else self._kept.lstrip()
        sure = text.rstrip()
        self._kept = text[len(sure) :]
        if sure:
            self.told = True
            self.job.tell(Said(text=sure))
