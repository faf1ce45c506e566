"""What every request passes before anything of it is read: who asks, and how long it may be."""

from __future__ import annotations

import json
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
        open_to_all: Paths that need no key.
    """

    def __init__(
        self, app: ASGIApp, *, access: Access, most: Mapping[str, int], open_to_all: Collection[str]
    ) -> None:
        self._app, self._access, self._most = app, access, most
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
        await self._app(scope, *_limited(receive, send, most))


def _too_long(most: int) -> Refused:
    return Refused(413, f"the request has more than {most} bytes", code="too_long")


def _limited(receive: Receive, send: Send, most: int) -> tuple[Receive, Send]:
    """The same, but a body that turns out to be too long is answered with that."""
    read, refused = 0, False

    async def counted() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > most:
            raise _too_long(most)
        return message

    async def watched(message: Message) -> None:
        nonlocal refused
        if read <= most:
            await send(message)
        elif not refused:
            refused = True
            await _send_refusal(_too_long(most), send)

    return counted, watched


async def _send_refusal(error: Refused, send: Send) -> None:
    headers = {"content-type": "application/json", "connection": "close"} | error.headers
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": raw})
    await send({"type": "http.response.body", "body": json.dumps(error.body).encode()})
