"""What is done between two batches: an edit, its preview, a revocation."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from liveedit.serve.failures import Refused
from liveedit.serve.metrics import Change

T = TypeVar("T")


@dataclass(kw_only=True, eq=False)
class Task(Generic[T]):
    """Something that waits for its turn.

    Args:
        run: Does it.
        change: What it is.
        deadline: When it is given up, by ``time.monotonic``.

    Attributes:
        future: What comes of it; who cancels it in time keeps it from being done.
    """

    run: Callable[[], T]
    change: Change = "add"
    deadline: float = float("inf")
    future: Future[T] = field(default_factory=Future)

    def fulfil(self) -> bool:
        """Do it, unless nobody waits for it any more; whether anybody did."""
        if not self.future.set_running_or_notify_cancel():
            return False
        try:
            if time.monotonic() > self.deadline:
                raise Refused(
                    503, "its turn did not come in time; nothing was done: try again",
                    code="timeout", retry_after=5,
                )  # fmt: skip
            self.future.set_result(self.run())
        except BaseException as error:
            self.future.set_exception(error)
        return True
