"""One answer that is wanted: what is asked, how, and what has been said so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Literal

from liveedit.backbones.query import History
from liveedit.correction.images import Pictures

Finish = Literal["stop", "length", "timeout", "cancelled"]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How tokens are chosen; jobs that differ here are not decoded together.

    Args:
        temperature: 0 for the likeliest token.
        top_p: Share of the probability that is drawn from.
        seed: Of a draw that can be had again; such a job is decoded alone.
        logprobs: Whether log-probabilities are kept.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    logprobs: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """As the model's ``generate`` takes them."""
        if self.temperature == 0:
            return {"do_sample": False}
        return {
            "do_sample": True, "temperature": self.temperature, "top_p": self.top_p, "top_k": 0,
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Said:
    """What is new of an answer.

    Args:
        text: What was added.
        finish: Why it ended, if it did.
    """

    text: str
    finish: Finish | None = None


@dataclass(kw_only=True)
class Times:
    """When what happened, by ``time.perf_counter``; 0 for what has not.

    Args:
        asked: It began to wait.
        begun: Its batch began.
        read: The first token was there.
        ended: It was told its end.
    """

    asked: float = field(default_factory=time.perf_counter)
    begun: float = 0.0
    read: float = 0.0
    ended: float = 0.0

    @property
    def queue(self) -> float:
        """Seconds that it waited."""
        return (self.begun or time.perf_counter()) - self.asked

    @property
    def prefill(self) -> float:
        """Seconds until the first token."""
        return self.read - self.begun

    @property
    def decode(self) -> float:
        """Seconds for the others."""
        return self.ended - self.read


@dataclass(kw_only=True, eq=False)
class Job:
    """An answer that is wanted.

    Args:
        pictures: Those of the conversation.
        prompt: The last question.
        history: What precedes it.
        namespace: The set of edits that answers.
        disabled: Answer without any edit.
        revision: As of this revision; the newest by default.
        sampling: How tokens are chosen.
        max_tokens: Longest answer.
        stop: Texts that end it, and are left out.
        deadline: When it is given up, by ``time.monotonic``.
        whole: Nobody looks at a part of the answer, so that it can be begun anew.
        tell: Is called with what is new, from the thread that decodes.
        trace: The span that it is part of.

    Attributes:
        cancelled: Set where nobody wants the answer any more.
        fired: Ids of the edits that were used, with their weights.
        seen_revision: Revision of the store that answered.
        prompt_tokens, tokens: How many there were.
        finish: Why it ended, if it did.
        times: When what happened.
        logprobs: For each token its text, its log-probability and those of the likeliest.
        error: What went wrong, where there is no answer.
    """

    pictures: Pictures
    prompt: str
    history: History
    namespace: str = ""
    disabled: bool = False
    revision: int | None = None
    sampling: Sampling = Sampling()
    max_tokens: int = 256
    stop: Sequence[str] = ()
    deadline: float = float("inf")
    whole: bool = False
    tell: Callable[[Said], None] = lambda _: None
    trace: object = None
    cancelled: Event = field(default_factory=Event)
    fired: Mapping[str, float] = field(default_factory=dict)
    seen_revision: int = 0
    prompt_tokens: int = 0
    tokens: int = 0
    finish: Finish | None = None
    times: Times = field(default_factory=Times)
    logprobs: list[dict[str, Any]] = field(default_factory=list)
    error: Exception | None = None

    @property
    def given_up(self) -> Finish | None:
        """Why nothing more is to be said, whatever the model would say."""
        if self.cancelled.is_set():
            return "cancelled"
        return "timeout" if time.monotonic() > self.deadline else None

    def end(self, finish: Finish, text: str = "") -> None:
        """Tell the last of an answer."""
        self.finish, self.times.ended = finish, time.perf_counter()
        self.tell(Said(text=text, finish=finish))

    def goes_with(self, other: Job) -> bool:
        """Whether both can be decoded in one batch."""
        return (
            self.sampling == other.sampling
            and self.sampling.seed is None
            and self.revision == other.revision
        )


def facts_of(jobs: Sequence[Job]) -> dict[str, Any]:
    """What a log may say of the answers to one request."""
    job = jobs[0]
    facts = {
        "namespace": job.namespace,
        "revision": job.seen_revision,
        "fired": list(job.fired),
        "finish": [one.finish for one in jobs],
        "prompt_tokens": job.prompt_tokens,
        "tokens": sum(one.tokens for one in jobs),
        "queue_ms": round(1000 * job.times.queue, 1),
    }
    if job.times.read and job.times.ended:
        facts["prefill_ms"] = round(1000 * job.times.prefill, 1)
        facts["decode_ms"] = round(1000 * job.times.decode, 1)
    return facts
