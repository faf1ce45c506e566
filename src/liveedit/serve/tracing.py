"""Spans of OpenTelemetry below that of a request: how long its answer waited, was read and said.

FastAPI makes the request's own span. Nothing is recorded, and nothing sent, unless a provider is
set up: ``liveedit serve --telemetry``, or a program that has its own.
"""

from __future__ import annotations

import time

from opentelemetry import context, trace

from liveedit.serve.jobs import Job


def current() -> object:
    """The span that a job is part of."""
    return context.get_current()


def record(job: Job) -> None:
    """Three spans of an answer that was given."""
    if not isinstance(job.trace, context.Context) or not job.times.read:
        return
    offset = time.time_ns() - int(1e9 * time.perf_counter())

    def at(seconds: float) -> int:
        return offset + int(1e9 * seconds)

    tracer, times = trace.get_tracer("liveedit"), job.times
    facts: dict[str, str | int | list[str]] = {
        "liveedit.namespace": job.namespace,
        "liveedit.revision": job.seen_revision,
        "liveedit.fired": list(job.fired),
        "gen_ai.usage.input_tokens": job.prompt_tokens,
        "gen_ai.usage.output_tokens": job.tokens,
    }
    for name, start, end in (
        ("liveedit.queue", times.asked, times.begun),
        ("liveedit.prefill", times.begun, times.read),
        ("liveedit.decode", times.read, times.ended),
    ):
        span = tracer.start_span(name, job.trace, attributes=facts, start_time=at(start))
        span.end(at(end))
