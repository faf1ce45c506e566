"""Pieces of the page: how they are rendered, and what is shown where something cannot be done."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Form, Request
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import Response

from liveedit.errors import LiveEditError, TargetNotReached
from liveedit.serve.failures import Refused, refusal_of
from liveedit.serve.state import server_of

Text = Annotated[str, Form(max_length=20_000)]
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_environment = Environment(
    loader=PackageLoader("liveedit.serve.page"), autoescape=True, undefined=StrictUndefined,
    trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip


def piece(name: str, request: Request, status: int = 200, **told: Any) -> Response:
    """A template as a response."""
    text = _environment.get_template(f"{name}.html.j2").render(
        model=server_of(request).names[0], **told
    )
    return HTMLResponse(text, status, headers=HEADERS)


class ToldInWords(APIRoute):
    """A route whose errors are pieces of the page, too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route, and what is shown in its place."""
        handle = super().get_route_handler()

        async def told(request: Request) -> Response:
            try:
                return await handle(request)
            except (LiveEditError, Refused) as error:
                refused = error if isinstance(error, Refused) else refusal_of(error)
                answer = error.outcomes[0].answer if isinstance(error, TargetNotReached) else None
                return piece(
                    "problem", request, refused.status, message=refused.message, answer=answer
                )

        return told
