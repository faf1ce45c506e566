"""``/v1/edits``: corrections while the model answers; ``/v1/revisions``: what was done."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from liveedit.correction import Correction
from liveedit.correction.conversation import read_picture
from liveedit.editor.inputs import correction_of
from liveedit.errors import LiveEditError, UnknownEdit
from liveedit.methods.outcome import EditOutcome
from liveedit.serve.access import Caller
from liveedit.serve.failures import Refused, refusal_of
from liveedit.serve.idempotency import Remembered
from liveedit.serve.metrics import Change
from liveedit.serve.schema import (
    EditRequest,
    ManyRequest,
    ReasonRequest,
    as_conversation,
    picture_in,
    pictures_in,
)
from liveedit.serve.state import Server, caller_of, server_of
from liveedit.serve.told import EditList, EntryList, EntryRow, MadeRow, OutcomeRow, RevisionList
from liveedit.store.records import Entry
from liveedit.store.sql import SqlStore

router = APIRouter()
_T = TypeVar("_T")
_MOST = 200  # edits of a page


@router.post("/v1/edits", status_code=201, response_model=None, responses={201: {"model": MadeRow}})
async def create(wanted: EditRequest, request: Request) -> Response:
    """Correct an answer; it holds from the next request on."""
    server = server_of(request)
    caller = caller_of(request).require("edit")
    namespace = caller.namespace("edit", wanted.namespace)
    remembered: Remembered = request.app.state.remembered

    async def make() -> dict[str, Any]:
        made = await _corrected(server, caller, wanted, namespace, preview=False)
        return outcome_json(made) | {"revision": server.model.store.revision}

    key = request.headers.get("idempotency-key")
    if not key:
        return JSONResponse(await make(), 201)
    digest = hashlib.sha256(wanted.model_dump_json().encode()).hexdigest()
    return JSONResponse(await remembered.once(caller.key.name, key, digest, make), 201)


@router.post("/v1/edits:preview", response_model=OutcomeRow)
async def preview(wanted: EditRequest, request: Request) -> dict[str, Any]:
    """What would come of a correction; nothing is written."""
    server = server_of(request)
    caller = caller_of(request).require("edit")
    namespace = caller.namespace("edit", wanted.namespace)
    return outcome_json(await _corrected(server, caller, wanted, namespace, preview=True))


@router.post("/v1/edits:revoke", response_model=EntryList)
async def revoke_many(wanted: ManyRequest, request: Request) -> dict[str, Any]:
    """Take edits back, all of them or none."""
    rows = await _changed(wanted.ids, request, wanted.reason, revoking=True)
    return {"object": "list", "data": rows}


@router.post("/v1/edits:restore", response_model=EntryList)
async def restore_many(wanted: ManyRequest, request: Request) -> dict[str, Any]:
    """Take revocations back, all of them or none."""
    rows = await _changed(wanted.ids, request, wanted.reason, revoking=False)
    return {"object": "list", "data": rows}


@router.get("/v1/edits", response_model=EditList)
async def listed(
    request: Request,
    namespace: str | None = None,
    search: str = Query("", max_length=200),
    state: str = Query("", pattern="^(|in force|superseded|revoked)$"),
    after: int = Query(0, ge=0, description="How many come before: the last page's `next`."),
    limit: int = Query(50, ge=1, le=_MOST),
) -> dict[str, Any]:
    """Edits of a namespace, the oldest first, page by page."""
    server = server_of(request)
    space = caller_of(request).require("ask").namespace("ask", namespace)
    log = sql_store(server).log
    entries = await asyncio.to_thread(log.entries, namespace=space, text=search or None)
    found = [entry for entry in entries if not state or entry.state == state]
    page = found[after : after + limit]
    more = len(found) > after + limit
    return {
        "object": "list",
        "data": [_entry(entry) for entry in page],
        "has_more": more,
        "next": after + limit if more else None,
        "total": len(found),
    }


@router.get("/v1/edits/{edit_id}", response_model=EntryRow)
async def one(edit_id: str, request: Request) -> dict[str, Any]:
    """One edit, with what was done about it."""
    server = server_of(request)
    caller = caller_of(request).require("ask")
    entry = await asyncio.to_thread(entry_of, server, caller, edit_id)
    return _entry(entry)


@router.delete("/v1/edits/{edit_id}", response_model=EntryRow)
async def revoke(
    edit_id: str, request: Request, body: ReasonRequest | None = None
) -> dict[str, Any]:
    """Take an edit back."""
    reason = body.reason if body else ""
    return (await _changed([edit_id], request, reason, revoking=True))[0]


@router.post("/v1/edits/{edit_id}:restore", response_model=EntryRow)
async def restore(
    edit_id: str, request: Request, body: ReasonRequest | None = None
) -> dict[str, Any]:
    """Take a revocation back."""
    reason = body.reason if body else ""
    return (await _changed([edit_id], request, reason, revoking=False))[0]


@router.get("/v1/revisions", response_model=RevisionList)
async def revisions(request: Request, after: int = Query(0, ge=0)) -> dict[str, Any]:
    """What was done, by whom and why; for keys with all rights."""
    server = server_of(request)
    caller_of(request).require("admin")
    log = sql_store(server).log
    rows = await asyncio.to_thread(log.history, after=after)
    return {
        "object": "list",
        "data": [
            {
                "revision": row.revision, "kind": row.kind, "edits": list(row.edits),
                "author": row.author, "reason": row.reason, "created": row.created.isoformat(),
            }
            for row in rows
        ],
        "newest": server.model.store.revision,
    }  # fmt: skip


def outcome_json(made: EditOutcome) -> dict[str, Any]:
    """An edit, whether its target is reached, and earlier ones about the same or the like."""
    return {
        "object": "edit",
        **made.edit.as_json(),
        "reached": made.reached,
        "answer": made.answer,
        "steps": made.steps,
        "conflicts": [
            {
                "id": found.edit.id, "kind": found.kind, "similarity": round(found.similarity, 4),
                "prompt": found.edit.prompt, "target": found.edit.target,
            }
            for found in made.conflicts
        ],
    }  # fmt: skip


async def _corrected(
    server: Server, caller: Caller, wanted: EditRequest, namespace: str, *, preview: bool
) -> EditOutcome:
    correction = await asyncio.to_thread(_correction, wanted, server)

    def make() -> EditOutcome:
        (made,) = server.model.edit_many(
            [correction],
            namespaces=[namespace],
            author=caller.key.name,
            reason=wanted.reason,
            supersede=wanted.supersede,
            keep=wanted.keep,
            preview=preview,
        )
        return made

    return await _between(server, make, "preview" if preview else "add")


async def _changed(
    names: list[str], request: Request, reason: str, *, revoking: bool
) -> list[dict[str, Any]]:
    server, names = server_of(request), list(dict.fromkeys(names))
    caller = caller_of(request).require("edit")
    for entry in await asyncio.to_thread(_entries_of, server, caller, names):
        caller.namespace("edit", entry.edit.namespace)
    change = server.model.revoke_many if revoking else server.model.restore_many
    kind: Change = "revoke" if revoking else "restore"
    await _between(server, lambda: change(names, author=caller.key.name, reason=reason), kind)
    return [_entry(one) for one in await asyncio.to_thread(_entries_of, server, caller, names)]


async def _between(server: Server, task: Callable[[], _T], change: Change) -> _T:
    """Between two batches of answers, so that no answer sees half of it.

    Raises:
        Refused: It cannot be done.
    """
    try:
        return await asyncio.wrap_future(server.batcher.between(task, change))
    except LiveEditError as error:
        raise refusal_of(error) from error


def _correction(wanted: EditRequest, server: Server) -> Correction:
    if (wanted.prompt is None) == (wanted.messages is None):
        raise Refused(400, "give either prompt (and images) or messages", param="prompt")
    shown = len(wanted.images) + pictures_in(wanted.messages or [])
    if shown > server.config.pictures:
        raise Refused(400, f"more than {server.config.pictures} pictures", param="images")
    try:
        if wanted.messages is not None:
            if wanted.images:
                raise Refused(400, "a conversation shows its own pictures", param="images")
            talk = as_conversation(wanted.messages, server.fetch)
            return correction_of(talk, wanted.target, wanted.rephrasings)
        pictures = [read_picture(picture_in(url, server.fetch)) for url in wanted.images]
        assert wanted.prompt is not None
        return Correction.checked(
            pictures or None, wanted.prompt, wanted.target, wanted.rephrasings
        )
    except ValueError as error:
        raise Refused(400, str(error), param="images") from error
    except LiveEditError as error:
        raise refusal_of(error) from error


def sql_store(server: Server) -> SqlStore:
    """The lasting store of a server.

    Raises:
        Refused: It has none.
    """
    store = server.model.store
    if not isinstance(store, SqlStore):
        raise Refused(400, "the server has no lasting store; start it with --store")
    return store


def entry_of(server: Server, caller: Caller, edit_id: str) -> Entry:
    """An edit, if its namespace is one that the caller may look at: of others nothing is known."""
    return _entries_of(server, caller, [edit_id])[0]


def _entries_of(server: Server, caller: Caller, names: Sequence[str]) -> list[Entry]:
    known = {
        entry.edit.id: entry
        for entry in sql_store(server).log.entries(ids=names)
        if caller.key.may("ask", entry.edit.namespace)
    }
    for name in names:
        if name not in known:
            raise refusal_of(UnknownEdit(name))
    return [known[name] for name in names]


def _entry(entry: Entry) -> dict[str, Any]:
    return {"object": "edit", **entry.as_json()}
