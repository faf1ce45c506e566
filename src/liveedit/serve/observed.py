"""Around everything else: each request has an id, is one line of the log, and is counted."""

from __future__ import annotations

import json
import logging
import re
import time
from secrets import token_hex
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from liveedit.serve.failures import Refused
from liveedit.serve.metrics import Metrics

_log = logging.getLogger("liveedit.serve")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_GONE = 499  # as nginx calls clients that did not wait


class Observed:
    """Gives ids, logs and counts; an exception becomes an answer with 500.

    Args:
        app: What answers.
        metrics: What counts.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        number = given if _ID.fullmatch(given) else token_hex(8)
        facts: dict[str, Any] = {"id": number}
        scope["liveedit.facts"] = facts
        status, began = 0, time.perf_counter()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = number
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            status = _GONE
        except Exception:
            _log.exception("a request failed", extra={"facts": {"id": number}})
            if not status:
                await watched(_start)
                await send({"type": "http.response.body", "body": _body})
            status = 500
        finally:
            seconds = time.perf_counter() - began
            self._tell(scope, facts, status or _GONE, seconds)

    def _tell(self, scope: Scope, facts: dict[str, Any], status: int, seconds: float) -> None:
        code = facts.get("refused")
        if status >= 400:
            self._metrics.refusal(status, str(code or "-"))
        route = getattr(scope.get("route"), "path", "-")  # of the unknown there are too many
        method = scope["method"] if route != "-" else "-"
        self._metrics.request(method, route, status, seconds)
        client = scope.get("client")
        row = {
            "method": scope["method"],
            "path": scope["path"],
            "status": status,
            "ms": round(1000 * seconds, 1),
            "address": client[0] if client else "",
            **facts,
        }
        _log.info("request", extra={"facts": row})


def tell(scope: Any, **facts: Any) -> None:
    """Have the log say more about a request: nothing of what was asked or shown."""
    scope.get("liveedit.facts", {}).update(facts)


_start: Message = {
    "type": "http.response.start",
    "status": 500,
    "headers": [(b"content-type", b"application/json")],
}
_body = json.dumps(Refused(500, "something went wrong; the log says what").body).encode()
