"""Errors in the form of OpenAI's API."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from liveedit.errors import (
    BadImport,
    ConflictingEdit,
    EngineUnreachable,
    LiveEditError,
    OtherMethod,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreMismatch,
    StoreReadOnly,
    StoreUnreachable,
    TargetNotReached,
    UnknownEdit,
    UnknownRevision,
)
from liveedit.serve.schema import NO_SUCH_FIELD

_STATUS: tuple[tuple[type[LiveEditError], int], ...] = (
    (UnknownEdit, 404),
    (UnknownRevision, 404),
    (ConflictingEdit, 409),
    (OtherMethod, 409),
    (StoreMismatch, 409),
    (BadImport, 400),
    (TargetNotReached, 422),
    (StoreBusy, 503),
    (StoreFull, 507),
    (StoreReadOnly, 503),
    (StoreUnreachable, 503),
    (EngineUnreachable, 503),
    (StoreError, 500),
)
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    429: "rate_limit_error",
}


class Refused(Exception):
    """A request that is not answered.

    Args:
        status: HTTP status.
        message: What is wrong, and what to do.
        code: A word for programs.
        param: The field that it is about.
        retry_after: Seconds after which it may be tried again.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code
        self.param, self.retry_after = param, retry_after

    @property
    def body(self) -> dict[str, Any]:
        """As OpenAI's API says it."""
        return _body(self.status, self.message, self.code, self.param)

    @property
    def headers(self) -> dict[str, str]:
        """What the answer's headers say of it."""
        told = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return told | ({"WWW-Authenticate": "Bearer"} if self.status == 401 else {})


def refusal_of(error: LiveEditError) -> Refused:
    """An error of ours as one of the server's."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 400)
    message = str(error) if status != 500 else "the store cannot be used; the log says why"
    return Refused(
        status,
        message,
        code=_word(type(error).__name__),
        retry_after=5 if status == 503 else None,
    )


async def on_refused(request: Request, error: Exception) -> JSONResponse:
    """The answer to a request that was refused."""
    assert isinstance(error, Refused)
    request.scope.get("liveedit.facts", {})["refused"] = error.code
    return JSONResponse(error.body, error.status, error.headers)


async def on_liveedit(request: Request, error: Exception) -> JSONResponse:
    """The answer where an error of ours got through."""
    assert isinstance(error, LiveEditError)
    return await on_refused(request, refusal_of(error))


async def on_invalid(_request: Request, error: Exception) -> JSONResponse:
    """The answer to a request that is not of the schema: its first problem."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    unknown = [first["ctx"]["field"]] if first["type"] == NO_SUCH_FIELD else []
    where = ".".join(str(part) for part in (*first["loc"], *unknown) if part != "body")
    return JSONResponse(_body(400, f"{where or 'body'}: {first['msg']}", "invalid", where), 400)


async def on_http(_request: Request, error: Exception) -> JSONResponse:
    """The answer where there is no such route, or not this way."""
    assert isinstance(error, HTTPException)
    body = _body(error.status_code, str(error.detail), None, None)
    return JSONResponse(body, error.status_code, error.headers)


def _body(status: int, message: str, code: str | None, param: str | None) -> dict[str, Any]:
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _word(name: str) -> str:
    """``TargetNotReached`` as ``target_not_reached``."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
