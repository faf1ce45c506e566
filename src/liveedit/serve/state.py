"""What the routes of a server share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from fastapi import Request

from liveedit.editor import EditedModel
from liveedit.serve.access import Access, Caller
from liveedit.serve.batching import Batcher
from liveedit.serve.config import ServeConfig
from liveedit.serve.engine import Engine, EngineBeside
from liveedit.serve.fetching import ImageHosts
from liveedit.serve.metrics import Metrics
from liveedit.serve.recent import Recent
from liveedit.serve.reviews import Reviews
from liveedit.serve.schema import Fetch


@dataclass(frozen=True, kw_only=True)
class Server:
    """A model, and what looks after it.

    Args:
        model: What answers and is corrected.
        names: What it is called; the first is told.
        batcher: Answers in batches.
        metrics: Counts and times.
        access: Who may do what.
        config: Limits.
        started: When, by ``time.time``.
        reviews: Answers that were marked as wrong.
        recent: Questions that were asked lately.
        image_hosts: Where pictures are fetched from, if anywhere.
        beside: Another engine that answers in the model's place; edits are made by the model.
    """

    model: EditedModel
    names: tuple[str, ...]
    batcher: Batcher
    metrics: Metrics
    access: Access
    config: ServeConfig
    started: float
    reviews: Reviews
    recent: Recent
    image_hosts: ImageHosts | None = None
    beside: EngineBeside | None = None

    @property
    def engine(self) -> Engine:
        """What answers."""
        return self.beside or self.batcher

    @property
    def fetch(self) -> Fetch | None:
        """Gets a picture from elsewhere, if that is allowed."""
        return None if self.image_hosts is None else self.image_hosts.fetch


def server_of(request: Request) -> Server:
    """The server that a request came to."""
    return cast("Server", request.app.state.server)


def caller_of(request: Request) -> Caller:
    """Who sent a request."""
    return cast("Caller", request.scope["liveedit.caller"])
