"""What looks after the server wants to know: is it there, can it answer, how is it doing."""

from __future__ import annotations

import asyncio
from collections.abc import Sized
from typing import Any, cast

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from liveedit.errors import LiveEditError
from liveedit.serve.state import Server, caller_of, server_of
from liveedit.serve.told import Status

router = APIRouter()
OPEN = ("/health", "/ready")
_TOLD: dict[int | str, dict[str, Any]] = {200: {"model": Status}, 503: {"model": Status}}
_PATIENCE = 2.0  # seconds that the store may take


@router.get("/health", response_model=None, responses=_TOLD)
async def health(request: Request) -> Response:
    """Whether the server is alive; if not, it should be started anew."""
    batcher = server_of(request).batcher
    if not batcher.alive:
        return JSONResponse({"status": "the thread that answers has ended"}, 503)
    return JSONResponse({"status": "ok", "waiting": server_of(request).engine.waiting})


@router.get("/ready", response_model=None, responses=_TOLD)
async def ready(request: Request) -> Response:
    """Whether requests should be sent here now."""
    problem = await _problem(server_of(request))
    return JSONResponse({"status": problem or "ok"}, 503 if problem else 200)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Figures for Prometheus; they tell of all namespaces, and need a key for just that."""
    server = server_of(request)
    caller_of(request).require("metrics")
    store = server.model.store
    in_force = await asyncio.to_thread(lambda: len(cast("Sized", store)))
    text = server.metrics.text(
        answers=server.engine.waiting,
        edits=server.batcher.edits_waiting,
        in_force=in_force,
        revision=store.revision,
    )
    return Response(text, media_type=CONTENT_TYPE_LATEST)


async def _problem(server: Server) -> str | None:
    if not server.batcher.alive or server.batcher.closing:
        return "closing"
    try:
        await asyncio.wait_for(asyncio.to_thread(_reads, server), _PATIENCE)
    except (LiveEditError, TimeoutError):
        return "the store does not answer"
    return None if server.beside is None else await asyncio.to_thread(server.beside.problem)


def _reads(server: Server) -> Any:
    log = getattr(server.model.store, "log", None)
    return None if log is None else log.revision
