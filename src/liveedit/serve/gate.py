"""What every request passes before anything of it is read: who asks, and how long it may be."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Collection, Mapping

from fastapi import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from liveedit.serve.access import Access
from liveedit.serve.failures import Refused
from liveedit.serve.observed import tell


class Gate:
    """Refuses requests of those who are not known, and bodies of more than so many bytes.

    Args:
        app: What answers.
        access: Who is known.
        most: Bytes of a body, whatever its headers say, by path; ``*`` for all others.
        seconds: Longest time for sending a body.
        open_to_all: Paths that need no key.
    """

    def __init__(
        self, app: ASGIApp, *, access: Access, most: Mapping[str, int], seconds: float,
        open_to_all: Collection[str],
    ) -> None:  # fmt: skip
        self._app, self._access, self._most, self._seconds = app, access, most, seconds
        self._open = frozenset(open_to_all)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        length = request.headers.get("content-length", "0")
        try:
            self._access.check_host(request)
            if scope["path"] not in self._open:
                caller = scope["liveedit.caller"] = self._access.caller(request)
                tell(scope, key=caller.key.name)
            elif scope["method"] == "POST":  # a key is tried
                self._access.stranger(request)
            most = self._most.get(scope["path"], self._most["*"])
            if not length.isdigit() or int(length) > most:
                raise _too_long(most)
        except Refused as error:
            tell(scope, refused=error.code)
            if error.status == 401 and scope["path"] == "/":
                await RedirectResponse("/login", 303)(scope, receive, send)
            else:
                await _send_refusal(error, send)
            return
        await self._app(scope, *_limited(receive, send, most, self._seconds))


def _too_long(most: int) -> Refused:
    return Refused(413, f"the request has more than {most} bytes", code="too_long")


def _limited(receive: Receive, send: Send, most: int, seconds: float) -> tuple[Receive, Send]:
    """The same, but a body that turns out to be too long or too slow is answered with that."""
    read, whole, answered = 0, False, False
    refusal: Refused | None = None
    until = time.monotonic() + seconds

    async def counted() -> Message:
        nonlocal read, whole, refusal
        if whole:  # what comes now is that the client goes away
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), max(0.0, until - time.monotonic()))
        except TimeoutError:
            refusal = Refused(408, f"the request was not sent in {seconds:g} seconds")
            raise refusal from None
        whole = not message.get("more_body", False)
        read += len(message.get("body", b""))
        if read > most:
            refusal = _too_long(most)
            raise refusal
        return message

    async def watched(message: Message) -> None:
        nonlocal answered
        if refusal is None:
            await send(message)
        elif not answered:  # whatever the application has made of it
            answered = True
            await _send_refusal(refusal, send)

    return counted, watched


async def _send_refusal(error: Refused, send: Send) -> None:
    headers = {"content-type": "application/json", "connection": "close"} | error.headers
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": raw})
    await send({"type": "http.response.body", "body": json.dumps(error.body).encode()})
