"""The same client for programs that do other things meanwhile."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import httpx

from liveedit.client import calls, sending
from liveedit.client.answers import Answer, EditPage, Imported, Revision, ServedEdit
from liveedit.client.calls import Call, Shown, Supersede

T = TypeVar("T")


class AsyncClient:
    """Asks and corrects a server; all of :class:`liveedit.Client`, to be awaited.

    Args:
        url, key, timeout, retries, http: See there; `http` is an ``httpx.AsyncClient``.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = 180.0,
        retries: int = 3,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._http = http or httpx.AsyncClient(**sending.settings(url, key, timeout))
        self._retries = retries

    async def ask(
        self, image: Shown, question: str, *, namespace: str | None = None,
        revision: int | None = None, edits: bool = True, max_tokens: int | None = None,
    ) -> Answer:  # fmt: skip
        """See :meth:`liveedit.Client.ask`."""
        return await self._do(
            calls.ask(image, question, namespace=namespace, revision=revision, edits=edits,
                      max_tokens=max_tokens)
        )  # fmt: skip

    async def edit(
        self, image: Shown, prompt: str, target: str, *, rephrasings: Sequence[str] = (),
        reason: str = "", namespace: str | None = None, supersede: Supersede | None = None,
        keep: bool = False,
    ) -> ServedEdit:  # fmt: skip
        """See :meth:`liveedit.Client.edit`."""
        return await self._do(
            calls.edit(image, prompt, target, rephrasings=rephrasings, reason=reason,
                       namespace=namespace, supersede=supersede, keep=keep, preview=False)
        )  # fmt: skip

    async def preview(
        self, image: Shown, prompt: str, target: str, *, rephrasings: Sequence[str] = (),
        namespace: str | None = None, supersede: Supersede | None = None,
    ) -> ServedEdit:  # fmt: skip
        """What would come of a correction; nothing is written."""
        return await self._do(
            calls.edit(image, prompt, target, rephrasings=rephrasings, reason="",
                       namespace=namespace, supersede=supersede, keep=True, preview=True)
        )  # fmt: skip

    async def edits(
        self, *, namespace: str | None = None, search: str = "", state: str = ""
    ) -> AsyncIterator[ServedEdit]:
        """All edits of a namespace, the oldest first, read page by page."""
        after: int | None = 0
        while after is not None:
            found = await self.page(namespace=namespace, search=search, state=state, after=after)
            for one in found.edits:
                yield one
            after = found.next

    async def page(
        self, *, namespace: str | None = None, search: str = "", state: str = "", after: int = 0,
        limit: int = 100,
    ) -> EditPage:  # fmt: skip
        """Some of them."""
        return await self._do(
            calls.page(namespace=namespace, search=search, state=state, after=after, limit=limit)
        )

    async def get(self, edit_id: str) -> ServedEdit:
        """One edit."""
        return await self._do(calls.get(edit_id))

    async def revoke(self, edit_id: str, *, reason: str = "") -> ServedEdit:
        """Take an edit back."""
        return await self._do(calls.revoke(edit_id, reason))

    async def restore(self, edit_id: str, *, reason: str = "") -> ServedEdit:
        """Take a revocation back."""
        return await self._do(calls.restore(edit_id, reason))

    async def revoke_many(self, edit_ids: Sequence[str], *, reason: str = "") -> list[ServedEdit]:
        """Take edits back together, all of them or none; 200 at most."""
        return await self._do(calls.revoke_many(edit_ids, reason))

    async def restore_many(self, edit_ids: Sequence[str], *, reason: str = "") -> list[ServedEdit]:
        """Take revocations back together, all of them or none; 200 at most."""
        return await self._do(calls.restore_many(edit_ids, reason))

    async def revisions(self, *, after: int = 0) -> list[Revision]:
        """What was done, by whom and why."""
        return await self._do(calls.revisions(after))

    async def export(
        self, file: str | os.PathLike[str], *, namespace: str | None = None,
        everything: bool = False,
    ) -> Path:  # fmt: skip
        """Write a namespace's edits, or all, as a zip file."""
        data = await self._do(calls.export(namespace, everything=everything))
        Path(file).write_bytes(data)
        return Path(file)

    async def import_(self, file: str | os.PathLike[str]) -> Imported:
        """Have the server take up such a file."""
        return await self._do(calls.import_(Path(file)))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _do(self, call: Call[T]) -> T:
        for tried in range(self._retries + 1):
            found = problem = None
            try:
                found = await self._sent(call)
            except httpx.TransportError as error:
                problem = error
            pause = sending.wait(call, tried, found)
            if pause is None or tried == self._retries:
                break
            await asyncio.sleep(pause)
        if found is None:
            assert problem is not None
            raise sending.unreachable(self._http, problem) from problem
        return sending.read(call, found)

    async def _sent(self, call: Call[Any]) -> httpx.Response:
        if call.content is None:
            return await self._http.send(sending.request(call, self._http))
        return await self._http.send(sending.request(call, self._http, _pieces(call.content)))


async def _pieces(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as opened:
        while piece := await asyncio.to_thread(opened.read, 1 << 20):
            yield piece
