"""Answers in OpenAI's form, whole or piece by piece."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from secrets import token_hex
from typing import Any

from liveedit.serve.jobs import Finish, Job
from liveedit.serve.schema import ChatRequest
from liveedit.serve.state import Server


class Reply:
    """The answers to one request, in OpenAI's form."""

    def __init__(self, asked: ChatRequest, jobs: list[Job], server: Server) -> None:
        self.asked, self.jobs = asked, jobs
        self._kind = "chat.completion.chunk" if asked.stream else "chat.completion"
        self._id, self._created = f"chatcmpl-{token_hex(12)}", int(time.time())
        self._fired_unknown = server.beside is not None  # vLLM has no place to tell
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
        fired = {} if self._fired_unknown else {"fired": dict(job.fired)}
        return {"revision": job.seen_revision} | fired

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
