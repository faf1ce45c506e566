"""What both clients do around a request: the key, another try, errors as ours."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import httpx

from liveedit.client.calls import Call
from liveedit.errors import RequestRefused

T = TypeVar("T")
_LATER = (429, 503)  # try again, after what Retry-After says
_LONGEST = 30.0  # seconds between two tries


def settings(url: str, key: str | None, timeout: float) -> dict[str, Any]:
    """Of an ``httpx.Client`` or its async twin."""
    headers = {"User-Agent": "liveedit"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    return {"base_url": url.rstrip("/").removesuffix("/v1"), "headers": headers, "timeout": timeout}


def request(
    call: Call[Any], client: httpx.Client | httpx.AsyncClient, content: Any = None
) -> httpx.Request:
    """A call as the library takes it."""
    return client.build_request(
        call.method, call.path, json=call.json, content=content, params=call.params,
        headers=call.headers,
    )  # fmt: skip


def wait(call: Call[Any], tried: int, found: httpx.Response | None) -> float | None:
    """Seconds until another try; None for none.

    Args:
        call: What was sent.
        tried: How often.
        found: The answer; None where none came.
    """
    if found is None:
        return 0.5 * 2**tried if call.again else None
    if found.status_code not in _LATER:
        return None
    told = found.headers.get("retry-after", "")
    return min(_LONGEST, float(told) if told.isdigit() else 0.5 * 2**tried)


def read(call: Call[T], found: httpx.Response) -> T:
    """What the caller gets.

    Raises:
        RequestRefused: The server refused.
    """
    body = found.content
    kind = found.headers.get("content-type", "")
    try:
        row: Any = json.loads(body) if kind.startswith("application/json") else None
        if found.is_success:
            return call.read(body, row)
        error = row["error"]
        message, code = str(error["message"]), error["code"]
    except (ValueError, LookupError, TypeError) as error:
        if found.is_success:
            raise RequestRefused(
                f"{found.url.host} does not answer as a server of liveedit does; check the address",
                status=found.status_code,
            ) from error
        message, code = f"the server answers {found.status_code}", None
    raise RequestRefused(message, status=found.status_code, code=code)


def unreachable(client: httpx.Client | httpx.AsyncClient, error: Exception) -> RequestRefused:
    """What to say where no answer came."""
    return RequestRefused(
        f"{client.base_url} does not answer ({type(error).__name__}); check the address, or start "
        "the server with: liveedit serve"
    )
