"""What needs no key: signing in and out, and the files that the page is made of."""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from liveedit.serve.access import COOKIE
from liveedit.serve.failures import Refused
from liveedit.serve.page.pieces import Text, piece
from liveedit.serve.state import server_of

router = APIRouter(include_in_schema=False)
_STATIC = {
    "htmx.min.js": "text/javascript", "page.js": "text/javascript", "page.css": "text/css",
}  # fmt: skip
OPEN = ("/login", *(f"/static/{name}" for name in _STATIC))


@router.get("/login")
async def login(request: Request) -> Response:
    """Where a key is given."""
    return piece("login", request, problem="")


@router.post("/login")
async def logged_in(request: Request, key: Text) -> Response:
    """Keep a key in a cookie that no script can read and no other page can use."""
    keys = server_of(request).access.keys
    if keys is not None and keys.find(key.strip()) is None:
        return piece("login", request, 401, problem="There is no such key.")
    response = RedirectResponse("/", 303)
    response.set_cookie(
        COOKIE, key.strip(), httponly=True, samesite="strict", max_age=12 * 3600,
        secure=request.url.scheme == "https",
    )  # fmt: skip
    return response


@router.post("/logout")
async def logged_out() -> Response:
    """Forget the key."""
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE)
    return response


@router.get("/static/{name}")
async def static(name: str) -> Response:
    """Script and style, which come with the package."""
    if name not in _STATIC:
        raise Refused(404, f"there is no {name}")
    data = files(__package__).joinpath("static", name).read_bytes()
    headers = {"Cache-Control": "max-age=3600", "X-Content-Type-Options": "nosniff"}
    return Response(data, media_type=_STATIC[name], headers=headers)
