"""``/v1/export`` and ``/v1/import``: edits as one file, between stores of the same model."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask
from starlette.responses import Response

from liveedit.errors import LiveEditError
from liveedit.serve.edits import sql_store
from liveedit.serve.failures import Refused, refusal_of
from liveedit.serve.state import Server, caller_of, server_of
from liveedit.serve.told import ImportedRow
from liveedit.store.export import EDITS, export_edits, identity_of_export, import_edits

router = APIRouter()
_ZIP = {"application/zip": {"schema": {"type": "string", "format": "binary"}}}
_NAME = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]{0,150}/)?[A-Za-z0-9][A-Za-z0-9._-]{0,150}")
_IMAGE = re.compile(r"[0-9a-f]{64}")
_FILES = 2_000_000


@router.get("/v1/export", response_class=Response, responses={200: {"content": _ZIP}})
async def exported(
    request: Request,
    namespace: str | None = None,
    everything: bool = Query(False, description="All namespaces; for keys with all rights."),
) -> Response:
    """The edits of a namespace that are not revoked, with their pictures, as a zip file."""
    server, caller = server_of(request), caller_of(request)
    caller.require("admin" if everything else "edit")
    space = None if everything else caller.namespace("edit", namespace)
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp))
    try:
        file = await asyncio.to_thread(_packed, server, folder, space)
    except BaseException as error:
        await asyncio.to_thread(shutil.rmtree, folder)
        if isinstance(error, LiveEditError):
            raise refusal_of(error) from error
        raise
    return FileResponse(
        file, media_type="application/zip", filename="edits.zip",
        background=BackgroundTask(shutil.rmtree, folder),
    )  # fmt: skip


@router.post(
    "/v1/import",
    response_model=ImportedRow,
    openapi_extra={"requestBody": {"content": _ZIP, "required": True}},
)
async def imported(request: Request) -> dict[str, Any]:
    """Take up the edits of an export; for keys with all rights, as tensors do not say what they do.

    What the store holds already is passed over. Each edit keeps its author; the revision is whoever
    imports it.
    """
    server, caller = server_of(request), caller_of(request).require("admin")
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        file, folder = Path(place, "edits.zip"), Path(place, "upload")
        with file.open("wb") as opened:
            async for piece in request.stream():
                await asyncio.to_thread(opened.write, piece)
        try:
            added, known = await asyncio.to_thread(_taken_up, server, file, folder, caller.key.name)
        except LiveEditError as error:
            server.metrics.change("import", time.perf_counter() - began, error)
            raise refusal_of(error) from error
    server.metrics.change("import", time.perf_counter() - began, None)
    return {"added": added, "known": known, "revision": server.model.store.revision}


def _packed(server: Server, folder: Path, namespace: str | None) -> Path:
    export_edits(sql_store(server).log, folder / "edits", namespace=namespace)
    file = folder / "edits.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted((folder / "edits").rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder / "edits").as_posix())
    return file


def _taken_up(server: Server, file: Path, folder: Path, author: str) -> tuple[int, int]:
    log = sql_store(server).log
    unpack(file, folder, most=server.config.import_body)
    log.require(identity_of_export(folder))
    _check_names(folder)
    return import_edits(log, folder, author=author)


def unpack(file: Path, folder: Path, *, most: int) -> None:
    """Unpack what an export holds, and nothing else.

    Args:
        file: A zip file.
        folder: Made.
        most: Bytes of all files together, whatever the archive says of them.

    Raises:
        Refused: It is no such archive, or too large.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = [one for one in archive.infolist() if not one.is_dir()]
            if len(members) > _FILES or sum(one.file_size for one in members) > most:
                raise Refused(413, f"the archive holds more than {most} bytes", code="too_long")
            for member in members:
                if not _NAME.fullmatch(member.filename):
                    raise Refused(400, f"the archive holds {member.filename[:100]!r}; export anew")
                path = folder / member.filename
                path.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as packed, path.open("wb") as unpacked:
                    # reads no more than the archive says, and fails if there is
                    shutil.copyfileobj(packed, unpacked)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise Refused(
            400, f"this is no export ({error}); send what GET /v1/export gives"
        ) from error


def _check_names(folder: Path) -> None:
    """Refuse an export whose lines name files elsewhere.

    Raises:
        Refused: It does.
    """
    try:
        text = (folder / EDITS).read_text(encoding="utf-8")
        lines = [json.loads(line) for line in text.splitlines()]
        good = all(
            _NAME.fullmatch(line["tensors"])
            and (line["image"] is None or _IMAGE.fullmatch(line["image"]))
            for line in lines
        )
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise Refused(400, f"{EDITS} cannot be read ({error}); export anew") from error
    if not good:
        raise Refused(400, f"{EDITS} names files outside of the export; export anew")
