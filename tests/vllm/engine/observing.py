"""Counts what passes the edit layer: which tokens of which request, and which were changed."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from liveedit.vllm.expert_buffers import FREE


class Observer:
    """Looks on while a served layer works.

    Attributes:
        passed: How often each position of each request passed.
        edited: The same of tokens that experts were added to.
        changed: The same of tokens whose states are others afterwards.
        steps: What each pass computed: (request, first position, tokens).
    """

    def __init__(self, served: Any) -> None:
        self.passed: dict[str, Counter] = defaultdict(Counter)
        self.edited: dict[str, Counter] = defaultdict(Counter)
        self.changed: dict[str, Counter] = defaultdict(Counter)
        self.steps: list[list[tuple[str, int, int]]] = []
        change = served.change

        def look_on(hidden, residual):
            step, before = served._step, hidden.clone()
            change(hidden, residual)
            if step is None:
                return
            differs = (hidden != before).any(1).tolist()
            numbers, _, _ = served._arrays()
            at = 0
            self.steps.append([])
            for name, start, count, number in zip(
                step.requests, step.starts.tolist(), step.counts.tolist(), numbers, strict=True
            ):
                self.steps[-1].append((name, start, count))
                for position in range(start, start + count):
                    self.passed[name][position] += 1
                    self.edited[name][position] += number != FREE
                    self.changed[name][position] += differs[at]
                    at += 1

        served.change = look_on

    def of(self, request: str) -> str:
        """The name that the engine has for a request."""
        (name,) = (one for one in self.passed if one.split("-")[0] == request)
        return name
