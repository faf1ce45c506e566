"""Routes of the page; each answers with a piece of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import HTMLResponse
from PIL import Image
from starlette.responses import Response

from liveedit.correction import Correction, checked_text, open_image, pictures_identity
from liveedit.correction.data_url import data_url
from liveedit.errors import LiveEditError
from liveedit.methods.outcome import EditOutcome, Supersede
from liveedit.serve.access import Caller
from liveedit.serve.edits import entry_of, sql_store
from liveedit.serve.failures import Refused
from liveedit.serve.jobs import Job, Said, facts_of
from liveedit.serve.observed import tell
from liveedit.serve.page.pieces import HEADERS, Text, ToldInWords, piece
from liveedit.serve.recent import Asked
from liveedit.serve.state import Server, caller_of, server_of
from liveedit.serve.tracing import current

router = APIRouter(include_in_schema=False, route_class=ToldInWords)
_PAGE = 25  # edits at a time
_TRIED = 6  # questions about the same picture that a correction is tried on
_TOKENS = 128  # longest answer on the page
Picture = Annotated[UploadFile | None, File()]


@router.get("/")
async def index(request: Request, namespace: str | None = None) -> Response:
    """The whole page."""
    caller = caller_of(request)
    space = caller.namespace("ask", namespace)
    return piece("index", request, namespace=space, **_rights(caller, space))


@router.post("/page/ask")
async def ask(
    request: Request, question: Text = "", picture: Picture = None, namespace: Text = ""
) -> Response:
    """Answer, and say which edits fired."""
    server, caller = server_of(request), caller_of(request)
    space = caller.namespace("ask", namespace)
    shown = await _opened(picture)
    job = await answered(request, shown, question, space)
    identity = pictures_identity(shown)
    server.recent.add(
        Asked(namespace=space, image=identity, pictures=shown, prompt=job.prompt, answer=job.text)
    )
    if server.beside is not None:  # which does not tell: the model here would answer with the same
        job.fired = await asyncio.wrap_future(
            server.batcher.between(partial(_explained, server, shown, job, space), "preview")
        )
    fired = await asyncio.to_thread(_fired, server, caller, job)
    return piece(
        "answer", request, answer=job.text, fired=fired, revision=job.seen_revision,
        question=job.prompt, namespace=space, **_rights(caller, space),
    )  # fmt: skip


@router.post("/page/compare")
async def compare(
    request: Request,
    revision: Annotated[int, Form(ge=0)],
    question: Text = "",
    picture: Picture = None,
    namespace: Text = "",
) -> Response:
    """The answer now and as of an earlier revision, side by side."""
    server, caller = server_of(request), caller_of(request)
    space = caller.namespace("ask", namespace)
    shown = await _opened(picture)
    newest = server.model.store.revision
    if revision > newest:
        raise Refused(404, f"The newest revision is {newest}.")
    before, now = [
        await answered(request, shown, question, space, revision=at) for at in (revision, newest)
    ]
    return piece("compare", request, before=before, now=now, revision=revision, newest=newest)


@router.post("/page/preview")
async def preview(
    request: Request,
    question: Text = "",
    target: Text = "",
    reason: Text = "",
    supersede: Annotated[Supersede, Form()] = "same",
    picture: Picture = None,
    namespace: Text = "",
) -> Response:
    """What a correction would change: earlier edits, and questions about the same picture."""
    server, caller = server_of(request), caller_of(request)
    space = caller.namespace("edit", namespace)
    correction = Correction.checked(await _opened(picture), question, target)
    recent = server.recent.about(space, pictures_identity(correction.image), most=_TRIED)
    others = [one for one in recent if one.prompt != correction.prompt]
    made, answers = await asyncio.wrap_future(
        server.batcher.between(
            lambda: _tried(server, correction, others, space, supersede), "preview"
        )
    )
    return piece(
        "preview", request, made=made, others=list(zip(others, answers, strict=True)),
        target=correction.target, reason=reason, supersede=supersede, namespace=space,
    )  # fmt: skip


@router.post("/page/edits")
async def write(
    request: Request,
    question: Text = "",
    target: Text = "",
    reason: Text = "",
    supersede: Annotated[Supersede, Form()] = "same",
    keep: Annotated[bool, Form()] = False,
    picture: Picture = None,
    namespace: Text = "",
) -> Response:
    """Put a correction in force."""
    server, caller = server_of(request), caller_of(request)
    space = caller.namespace("edit", namespace)
    correction = Correction.checked(await _opened(picture), question, target)

    def make() -> EditOutcome:
        (made,) = server.model.edit_many(
            [correction], namespaces=[space], author=caller.key.name, reason=reason,
            supersede=supersede, keep=keep,
        )  # fmt: skip
        return made

    made = await asyncio.wrap_future(server.batcher.between(make))
    response = piece("written", request, made=made)
    response.headers["HX-Trigger"] = "edits-changed"
    return response


@router.get("/page/edits")
async def edits(
    request: Request, search: str = "", state: str = "", after: int = 0, namespace: str = ""
) -> Response:
    """A table of edits."""
    server, caller = server_of(request), caller_of(request)
    space = caller.namespace("ask", namespace)
    log = sql_store(server).log
    found = await asyncio.to_thread(log.entries, namespace=space, text=search or None)
    found = [one for one in reversed(found) if not state or one.state == state]
    after = max(after, 0)
    return piece(
        "edits", request, entries=found[after : after + _PAGE], total=len(found), after=after,
        more=len(found) > after + _PAGE, page=_PAGE, search=search, state=state, namespace=space,
        **_rights(caller, space),
    )  # fmt: skip


@router.post("/page/edits/{edit_id}/{change}")
async def change(request: Request, edit_id: str, change: str, reason: Text = "") -> Response:
    """Revoke or restore an edit."""
    server, caller = server_of(request), caller_of(request)
    if change not in ("revoke", "restore"):
        raise Refused(404, f"there is no {change}")
    entry = await asyncio.to_thread(entry_of, server, caller, edit_id)
    caller.namespace("edit", entry.edit.namespace)
    act = server.model.revoke if change == "revoke" else server.model.restore
    await asyncio.wrap_future(
        server.batcher.between(
            lambda: act(edit_id, author=caller.key.name, reason=reason),
            "revoke" if change == "revoke" else "restore",
        )
    )
    entry = await asyncio.to_thread(entry_of, server, caller, edit_id)
    return piece("row", request, entry=entry, **_rights(caller, entry.edit.namespace))


@router.get("/page/thumbnail/{edit_id}")
async def thumbnail(request: Request, edit_id: str) -> Response:
    """The picture of an edit, small."""
    server, caller = server_of(request), caller_of(request)
    entry = await asyncio.to_thread(entry_of, server, caller, edit_id)
    found = None
    if entry.edit.image is not None:
        found = await asyncio.to_thread(server.model.store.thumbnail, entry.edit.image)
    if found is None:
        raise Refused(404, "there is no picture")
    return Response(found, media_type=_kind(found), headers=HEADERS)


@router.post("/page/wrong")
async def wrong(
    request: Request,
    question: Text = "",
    answer: Text = "",
    note: Text = "",
    picture: Picture = None,
    namespace: Text = "",
) -> Response:
    """Mark an answer as wrong, for somebody who may correct it."""
    server, caller = server_of(request), caller_of(request)
    space = caller.namespace("ask", namespace)
    prompt = checked_text(question, "prompt")
    shown = await _opened(picture)
    small = None if shown is None else data_url(shown, 768).encode()
    number = server.reviews.add(
        namespace=space, prompt=prompt, answer=answer, note=note, author=caller.key.name,
        picture=small,
    )  # fmt: skip
    response = piece("marked", request, number=number)
    response.headers["HX-Trigger"] = "reviews-changed"
    return response


@router.get("/page/reviews")
async def reviews(request: Request, namespace: str = "") -> Response:
    """Answers that were marked as wrong."""
    server, caller = server_of(request), caller_of(request)
    space = caller.namespace("edit", namespace)
    waiting = await asyncio.to_thread(server.reviews.waiting, space)
    pictures = {
        one.number: (server.reviews.picture(one.number, space) or b"").decode()
        for one in waiting
        if one.pictured
    }
    return piece("reviews", request, waiting=waiting, pictures=pictures, namespace=space)


@router.post("/page/reviews/{number}/done")
async def done(request: Request, number: int, namespace: Text = "") -> Response:
    """Take an answer out of the queue."""
    server, caller = server_of(request), caller_of(request)
    space = caller.namespace("edit", namespace)
    if not server.reviews.finish(number, space, caller.key.name):
        raise Refused(404, f"there is no {number} in the queue")
    return HTMLResponse("", headers=HEADERS)


class _Answer:
    """A job, and what was said."""

    def __init__(self, job: Job, text: str) -> None:
        self.prompt, self.text, self.fired = job.prompt, text, job.fired
        self.seen_revision = job.seen_revision


async def answered(
    request: Request,
    shown: Image.Image | None,
    question: str,
    namespace: str,
    *,
    revision: int | None = None,
) -> _Answer:
    """Ask in turn with all others.

    Raises:
        LiveEditError, Refused: There is no answer.
    """
    server, loop = server_of(request), asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    texts: list[str] = []

    def take(said: Said) -> None:
        texts.append(said.text)
        if said.finish and not ended.done():
            ended.set_result(None)

    def told(said: Said) -> None:
        loop.call_soon_threadsafe(take, said)

    prompt = server.model.backbone.checked(checked_text(question, "prompt"))
    job = Job(
        pictures=None if shown is None else [shown],
        prompt=prompt,
        history=(),
        namespace=namespace,
        revision=revision,
        max_tokens=min(_TOKENS, server.config.max_tokens),
        deadline=time.monotonic() + server.config.seconds,
        tell=told,
        trace=current(),
    )
    server.engine.submit(job)
    try:
        await ended
    finally:
        tell(request.scope, **facts_of([job]))
        job.cancelled.set()
    if job.error is not None:
        raise (
            job.error
            if isinstance(job.error, LiveEditError)
            else Refused(500, "The answer could not be made; the log says why.")
        )
    return _Answer(job, "".join(texts))


def _tried(
    server: Server,
    correction: Correction,
    others: Sequence[Asked],
    namespace: str,
    supersede: Supersede,
) -> tuple[EditOutcome, list[str]]:
    """What would come of a correction, and what the other questions would be answered then."""
    model = server.model
    with model.namespace(namespace), model.store.transaction(keep=False):
        (made,) = model.edit_many([correction], supersede=supersede, keep=True)
        shown, prompts = [one.pictures for one in others], [one.prompt for one in others]
        answers = model.generate(shown, prompts, max_new_tokens=_TOKENS) if others else []
    return made, answers


async def _opened(picture: UploadFile | None) -> Image.Image | None:
    """The picture that was sent; None for none.

    Raises:
        BadImage: It is none.
    """
    data = b"" if picture is None else await picture.read()
    return await asyncio.to_thread(open_image, data) if data else None


def _explained(
    server: Server, shown: Image.Image | None, job: _Answer, namespace: str
) -> dict[str, float]:
    """Ids of the edits that concern a question in the revision that answered it."""
    model = server.model
    with model.namespace(namespace), model.at(job.seen_revision):
        found = model.explain(shown, job.prompt)
    return {one.edit.id: round(one.weight, 4) for one in found if one.weight}


def _fired(server: Server, caller: Caller, job: _Answer) -> list[tuple[Any, float]]:
    edits = server.model.store.some(list(job.fired), revoked=True)
    return [(edits[name], weight) for name, weight in job.fired.items() if name in edits]


def _rights(caller: Caller, namespace: str) -> dict[str, bool]:
    return {"may_edit": caller.key.may("edit", namespace), "known": bool(caller.key.name)}


def _kind(data: bytes) -> str:
    return "image/webp" if data[8:12] == b"WEBP" else "image/png" if data[:4] == b"\x89PNG" else (
        "image/jpeg"
    )  # fmt: skip
