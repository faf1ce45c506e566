"""What Prometheus is told: how long requests wait, are read, answered and corrected, and how."""

from __future__ import annotations

from typing import Literal, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from liveedit.serve.jobs import Finish, Job

Change = Literal["add", "preview", "revoke", "restore", "import"]
_SHORT = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
_LONG = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120)
_ROWS = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The figures of one server; in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._requests = self._count("requests", "Requests", "method", "route", "status")
        self._seconds = self._times("request_seconds", "From request to answer", _LONG, "route")
        self._refused = self._count("refused", "Requests refused, and why", "status", "code")
        self._queue = self._times("queue_seconds", "Waiting for a batch", _SHORT)
        self._prefill = self._times("prefill_seconds", "Until the first token", _SHORT)
        self._decode = self._times("decode_seconds", "From the first token to the last", _LONG)
        self._rows = self._times("batch_answers", "Answers decoded together", _ROWS)
        self._answers = self._count("answers", "Answers, and how they ended", "finish", "edited")
        self._tokens = self._count("tokens", "Tokens read and said", "kind")
        self._fired = self._count("fired", "Edits that answered")
        self._edits = self._count("edits", "Changes of the store", "change", "outcome")
        self._edit = self._times("edit_seconds", "Making one change", _LONG, "change")
        self._waiting = self._gauge("waiting", "Waiting for their turn", "kind")
        self._in_force = self._gauge("edits_in_force", "Edits in force, of all namespaces")
        self._revision = self._gauge("revision", "Newest revision of the store")
        for finish in get_args(Finish):  # so that a rate over the first of each is right
            self._answers.labels(finish, "no")
        for change in get_args(Change):
            self._edits.labels(change, "done")

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request that was answered in some way."""
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def refusal(self, status: int, code: str) -> None:
        """A request that was refused."""
        self._refused.labels(status, code).inc()

    def batch(self, jobs: list[Job]) -> None:
        """Answers that were decoded together."""
        self._rows.observe(len(jobs))
        for job in jobs:
            self.answer(job)

    def answer(self, job: Job) -> None:
        """An answer that was given, or given up."""
        times = job.times
        self._answers.labels(job.finish or "error", "yes" if job.fired else "no").inc()
        self._queue.observe(times.queue)
        if times.read:
            self._prefill.observe(times.prefill)
            self._decode.observe(times.decode)
            self._tokens.labels("prompt").inc(job.prompt_tokens)
            self._tokens.labels("completion").inc(job.tokens)
            self._fired.inc(len(job.fired))

    def change(self, change: Change, seconds: float, error: BaseException | None) -> None:
        """A change of the store that was made, or failed."""
        self._edits.labels(change, "done" if error is None else "failed").inc()
        self._edit.labels(change).observe(seconds)

    def text(self, *, answers: int, edits: int, in_force: int, revision: int) -> bytes:
        """All of it in Prometheus' form.

        Args:
            answers, edits: How many wait.
            in_force: How many edits are.
            revision: The store's newest.
        """
        self._waiting.labels("answers").set(answers)
        self._waiting.labels("edits").set(edits)
        self._in_force.set(in_force)
        self._revision.set(revision)
        return generate_latest(self.registry)

    def _count(self, name: str, help_: str, *labels: str) -> Counter:
        return Counter(f"liveedit_{name}", help_, labels, registry=self.registry)

    def _gauge(self, name: str, help_: str, *labels: str) -> Gauge:
        return Gauge(f"liveedit_{name}", help_, labels, registry=self.registry)

    def _times(self, name: str, help_: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"liveedit_{name}", help_, labels, buckets=buckets, registry=self.registry)
