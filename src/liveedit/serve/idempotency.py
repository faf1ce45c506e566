"""Requests that may be sent again: what they ask for is done once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

from liveedit.serve.failures import Refused

_KEPT = 1000
_LONGEST = 255  # characters of a key
Answer = dict[str, Any]


class Remembered:
    """Answers by who asked and their key, also those that are still being made; in memory alone."""

    def __init__(self) -> None:
        self._answers: OrderedDict[tuple[str, str], tuple[str, asyncio.Future[Answer]]] = (
            OrderedDict()
        )

    async def once(
        self, who: str, key: str, digest: str, make: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        """The answer of before, or a new one; what failed may be tried again.

        It is made to its end even if whoever asked first goes away.

        Args:
            who: Who asks: keys of one are nothing to another.
            key: Theirs for this request.
            digest: Of all that the request says.
            make: Makes the answer.

        Raises:
            Refused: The key was used for another request, or is too long.
        """
        if len(key) > _LONGEST:
            raise Refused(400, f"an Idempotency-Key has at most {_LONGEST} characters")
        known, answer = self._answers.get((who, key), (digest, None))
        if known != digest:
            raise Refused(
                409, "this Idempotency-Key was used for another request", code="idempotency_key"
            )
        if answer is None:
            answer = asyncio.ensure_future(make())
            self._answers[who, key] = digest, answer
            answer.add_done_callback(lambda made: self._forget_failed((who, key), made))
            while len(self._answers) > _KEPT:
                self._answers.popitem(last=False)
        return await asyncio.shield(answer)

    def _forget_failed(self, name: tuple[str, str], made: asyncio.Future[Answer]) -> None:
        if (made.cancelled() or made.exception()) and self._answers.get(name, ("", None))[
            1
        ] is made:
            del self._answers[name]
