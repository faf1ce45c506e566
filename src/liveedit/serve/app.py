"""The application: routes, errors, limits, and what is told about it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from liveedit import __version__
from liveedit.editor import EditedModel
from liveedit.errors import LiveEditError
from liveedit.serve import chat, edits, exchange, probes
from liveedit.serve.access import Access
from liveedit.serve.batching import Batcher
from liveedit.serve.config import ServeConfig
from liveedit.serve.engine import EngineBeside
from liveedit.serve.failures import Refused, on_http, on_invalid, on_liveedit, on_refused
from liveedit.serve.fetching import ImageHosts
from liveedit.serve.gate import Gate
from liveedit.serve.idempotency import Remembered
from liveedit.serve.keys import KeyFile
from liveedit.serve.metrics import Metrics
from liveedit.serve.observed import Observed
from liveedit.serve.page import entrance, routes
from liveedit.serve.recent import Recent
from liveedit.serve.reviews import Reviews
from liveedit.serve.state import Server, caller_of, server_of
from liveedit.serve.told import REFUSALS, ModelList
from liveedit.store.sql import SqlStore

_log = logging.getLogger("liveedit.serve")
_OPEN = (*probes.OPEN, *entrance.OPEN)
_FOLLOW = 0.5  # seconds between looks at what other processes have written to the store


def create_app(
    model: EditedModel,
    *,
    names: Sequence[str] = (),
    keys: Path | None = None,
    reviews: Path | None = None,
    hosts: Collection[str] = (),
    config: ServeConfig | None = None,
    image_hosts: ImageHosts | None = None,
    beside: Callable[[Metrics], EngineBeside] | None = None,
    telemetry: bool = False,
) -> FastAPI:
    """A server for a model.

    Args:
        model: What answers and is corrected; its store should be a lasting one.
        names: What requests may call it; the backbone's name by default.
        keys: File of API keys; without one everybody may do everything.
        reviews: File of the answers that users mark as wrong; in memory without one.
        hosts: Names that the server may be called by, beside localhost and addresses.
        config: Limits.
        image_hosts: Where pictures are fetched from; nowhere by default.
        beside: Makes another engine, which answers in the model's place.
        telemetry: Send OpenTelemetry's traces to where its environment variables say.
    """
    config, metrics = config or ServeConfig(), Metrics()
    server = Server(
        model=model,
        names=tuple(names) or (model.backbone.name,),
        batcher=Batcher(model, config, metrics),
        metrics=metrics,
        access=Access(
            None if keys is None else KeyFile(keys),
            hosts=hosts,
            requests_a_minute=config.requests_a_minute,
        ),
        config=config,
        started=time.time(),
        reviews=Reviews(reviews),
        recent=Recent(),
        image_hosts=image_hosts,
        beside=None if beside is None else beside(metrics),
    )
    app = FastAPI(
        title="liveedit", version=__version__, openapi_url=None, lifespan=_lifespan,
        responses=REFUSALS,
        telemetry={"logs": False, "auto_configure": telemetry},  # its logs would quote requests
    )  # fmt: skip
    app.state.server, app.state.remembered = server, Remembered()
    app.include_router(chat.router)
    app.include_router(edits.router)
    app.include_router(exchange.router)
    app.include_router(probes.router)
    app.include_router(entrance.router)
    app.include_router(routes.router)
    app.add_api_route("/v1/models", _models, response_model=ModelList)
    app.add_api_route("/openapi.json", _schema, include_in_schema=False)
    most = {"*": config.body, "/v1/import": config.import_body}
    app.add_middleware(
        Gate, access=server.access, most=most, seconds=config.body_seconds, open_to_all=_OPEN
    )
    app.add_middleware(Observed, metrics=metrics)
    for kind, handler in (
        (Refused, on_refused),
        (LiveEditError, on_liveedit),
        (RequestValidationError, on_invalid),
        (HTTPException, on_http),
    ):
        app.add_exception_handler(kind, handler)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    server: Server = app.state.server
    follower = asyncio.create_task(_follow(server))
    try:
        yield
    finally:
        follower.cancel()
        for one in {server.engine, server.batcher}:
            await asyncio.to_thread(one.close, seconds=server.config.seconds)


async def _follow(server: Server) -> None:
    """Take up what other processes write to the same store."""
    store = server.model.store
    while isinstance(store, SqlStore):
        await asyncio.sleep(_FOLLOW)
        try:
            await asyncio.to_thread(store.follow)
        except LiveEditError as error:
            _log.error("the store cannot be followed: %s", error)


async def _models(request: Request) -> dict[str, Any]:
    """What can be asked."""
    server = server_of(request)
    caller_of(request).require("ask")
    created = int(server.started)
    return {
        "object": "list",
        "data": [
            {"id": name, "object": "model", "created": created, "owned_by": "liveedit"}
            for name in server.names
        ],
    }


async def _schema(request: Request) -> dict[str, Any]:
    """All routes, as OpenAPI describes them."""
    caller_of(request).require("ask")
    schema: dict[str, Any] = request.app.openapi()
    return schema
