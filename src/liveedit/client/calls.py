"""Requests as values: what is sent, and how the answer is read. Both clients send the same ones."""

from __future__ import annotations

import base64
import io
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, Literal, TypeAlias, TypeVar
from urllib.parse import quote

from PIL import Image

from liveedit.client.answers import Answer, EditPage, Imported, Revision, ServedEdit
from liveedit.errors import BadImage, BadImport

T = TypeVar("T")
One: TypeAlias = "str | os.PathLike[str] | bytes | Image.Image"
Shown: TypeAlias = "One | Sequence[One] | None"
Supersede = Literal["same", "alike", "never"]


@dataclass(frozen=True, kw_only=True)
class Call(Generic[T]):
    """A request.

    Args:
        method, path: Where it goes.
        read: From the answer's body to what the caller gets.
        again: Whether it may be sent again if no answer comes.
        json, params, headers, content: What is sent.
    """

    method: str
    path: str
    read: Callable[[bytes, Any], T]
    again: bool = True
    json: Mapping[str, Any] | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: Path | None = None


def ask(
    image: Shown, question: str, *, namespace: str | None, revision: int | None, edits: bool,
    max_tokens: int | None,
) -> Call[Answer]:  # fmt: skip
    """A question."""
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in _urls(image)]
    body = {
        "messages": [{"role": "user", "content": [*parts, {"type": "text", "text": question}]}],
        "namespace": namespace, "revision": revision, "edits": edits, "max_tokens": max_tokens,
    }  # fmt: skip
    return Call(method="POST", path="/v1/chat/completions", json=body, read=_answer)


def edit(
    image: Shown, prompt: str, target: str, *, rephrasings: Sequence[str], reason: str,
    namespace: str | None, supersede: Supersede | None, keep: bool, preview: bool,
) -> Call[ServedEdit]:  # fmt: skip
    """A correction, or its preview; sent again it is made once."""
    body = {
        "prompt": prompt, "images": _urls(image), "target": target,
        "rephrasings": list(rephrasings), "reason": reason, "namespace": namespace,
        "supersede": supersede, "keep": keep,
    }  # fmt: skip
    path = "/v1/edits:preview" if preview else "/v1/edits"
    headers = {} if preview else {"Idempotency-Key": uuid.uuid4().hex}
    return Call(method="POST", path=path, json=body, headers=headers, read=_edit)


def page(
    *, namespace: str | None, search: str, state: str, after: int, limit: int
) -> Call[EditPage]:
    """Some edits."""
    params = {"search": search, "state": state, "after": after, "limit": limit}
    if namespace is not None:
        params["namespace"] = namespace
    return Call(method="GET", path="/v1/edits", params=params, read=_page)


def get(edit_id: str) -> Call[ServedEdit]:
    """One edit."""
    return Call(method="GET", path=_path(edit_id), read=_edit)


def revoke(edit_id: str, reason: str) -> Call[ServedEdit]:
    """Take an edit back."""
    body = {"reason": reason}
    return Call(method="DELETE", path=_path(edit_id), json=body, again=False, read=_edit)


def restore(edit_id: str, reason: str) -> Call[ServedEdit]:
    """Take that back."""
    path, body = f"{_path(edit_id)}:restore", {"reason": reason}
    return Call(method="POST", path=path, json=body, again=False, read=_edit)


def revoke_many(edit_ids: Sequence[str], reason: str) -> Call[list[ServedEdit]]:
    """Take edits back together."""
    return _together("revoke", edit_ids, reason)


def restore_many(edit_ids: Sequence[str], reason: str) -> Call[list[ServedEdit]]:
    """Take that back."""
    return _together("restore", edit_ids, reason)


def _together(change: str, edit_ids: Sequence[str], reason: str) -> Call[list[ServedEdit]]:
    body = {"ids": list(edit_ids), "reason": reason}
    return Call(
        method="POST", path=f"/v1/edits:{change}", json=body, again=False,
        read=lambda _, told: [ServedEdit.read(row) for row in told["data"]],
    )  # fmt: skip


def revisions(after: int) -> Call[list[Revision]]:
    """What was done."""
    return Call(method="GET", path="/v1/revisions", params={"after": after}, read=_revisions)


def export(namespace: str | None, *, everything: bool) -> Call[bytes]:
    """Edits as a zip file."""
    params: dict[str, Any] = {"everything": everything}
    if namespace is not None:
        params["namespace"] = namespace
    return Call(method="GET", path="/v1/export", params=params, read=lambda body, _: body)


def import_(file: Path) -> Call[Imported]:
    """Such a file, elsewhere.

    Raises:
        BadImport: It is not there.
    """
    if not file.is_file():
        raise BadImport(f"{file} is no file; give what GET /v1/export or `edit export` wrote")
    return Call(
        method="POST", path="/v1/import", content=file, read=_imported,
        headers={"Content-Type": "application/zip"},
    )  # fmt: skip


def _path(edit_id: str) -> str:
    return f"/v1/edits/{quote(edit_id, safe='')}"


def _urls(shown: Shown) -> list[str]:
    if shown is None:
        return []
    if isinstance(shown, str | os.PathLike | bytes | Image.Image):
        return [_url(shown)]
    return [_url(one) for one in shown]


def _url(picture: One) -> str:
    """A picture as it is, as a data URL: the server looks at what it is.

    Raises:
        BadImage: It cannot be read.
    """
    if isinstance(picture, str) and picture.startswith(("data:", "http://", "https://")):
        return picture
    if isinstance(picture, Image.Image):
        file = io.BytesIO()
        picture.save(file, "PNG")
        data = file.getvalue()
    elif isinstance(picture, bytes):
        data = picture
    else:
        try:
            data = Path(picture).read_bytes()
        except OSError as error:
            raise BadImage(f"{str(picture)!r} cannot be read ({error.strerror})") from error
    return f"data:image/unknown;base64,{base64.b64encode(data).decode()}"


def _answer(_: bytes, row: Any) -> Answer:
    choice, told = row["choices"][0], row["liveedit"]
    return Answer(
        text=choice["message"]["content"],
        revision=told["revision"],
        fired=told.get("fired") or {},
        finish=choice["finish_reason"],
        tokens=row["usage"]["completion_tokens"],
    )


def _edit(_: bytes, row: Any) -> ServedEdit:
    return ServedEdit.read(row)


def _page(_: bytes, row: Any) -> EditPage:
    edits = [ServedEdit.read(one) for one in row["data"]]
    return EditPage(edits=edits, next=row["next"], total=row["total"])


def _revisions(_: bytes, row: Any) -> list[Revision]:
    return [
        Revision(**{**one, "created": datetime.fromisoformat(one["created"])})
        for one in row["data"]
    ]


def _imported(_: bytes, row: Any) -> Imported:
    return Imported(**row)
