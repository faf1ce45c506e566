"""The client for programs that wait for their answers."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import httpx

from liveedit.client import calls, sending
from liveedit.client.answers import Answer, EditPage, Imported, Revision, ServedEdit
from liveedit.client.calls import Call, Shown, Supersede

T = TypeVar("T")


class Client:
    """Asks and corrects a server; safe to share between threads.

    Pictures are paths, bytes of a file, pictures of PIL, data URLs or, where the server allows
    their hosts, addresses.

    Args:
        url: Of the server, as ``http://127.0.0.1:8000``.
        key: An API key (``liveedit keys add``), where the server wants one.
        timeout: Seconds for one request.
        retries: How often a request is sent again after 429, 503, or no answer at all.
        http: A client of httpx to send with, in place of an own one.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = 180.0,
        retries: int = 3,
        http: httpx.Client | None = None,
    ) -> None:
        self._http = http or httpx.Client(**sending.settings(url, key, timeout))
        self._retries = retries

    def ask(
        self, image: Shown, question: str, *, namespace: str | None = None,
        revision: int | None = None, edits: bool = True, max_tokens: int | None = None,
    ) -> Answer:  # fmt: skip
        """Ask about a picture, several, or None.

        Args:
            image: What is seen.
            question: What is asked.
            namespace: The set of edits that answers; the key's own by default.
            revision: Answer as of this revision.
            edits: Whether edits may answer.
            max_tokens: Longest answer; the server's limit by default.

        Raises:
            RequestRefused: There is no answer.
            BadImage: The picture cannot be read.
        """
        return self._do(
            calls.ask(image, question, namespace=namespace, revision=revision, edits=edits,
                      max_tokens=max_tokens)
        )  # fmt: skip

    def edit(
        self, image: Shown, prompt: str, target: str, *, rephrasings: Sequence[str] = (),
        reason: str = "", namespace: str | None = None, supersede: Supersede | None = None,
        keep: bool = False,
    ) -> ServedEdit:  # fmt: skip
        """Correct an answer; it holds from the next request on. The author is the key's name.

        Args:
            image: What is seen; None for a text-only correction.
            prompt: The question.
            target: The right answer.
            rephrasings: The question in other words.
            reason: Why.
            namespace: The set of edits it belongs to; the key's own by default.
            supersede: Which earlier edits go out of force: ``same``, ``alike`` or ``never``.
            keep: Put it in force even if the model would still answer something else.

        Raises:
            RequestRefused: It was not made; nothing was written.
        """
        return self._do(
            calls.edit(image, prompt, target, rephrasings=rephrasings, reason=reason,
                       namespace=namespace, supersede=supersede, keep=keep, preview=False)
        )  # fmt: skip

    def preview(
        self, image: Shown, prompt: str, target: str, *, rephrasings: Sequence[str] = (),
        namespace: str | None = None, supersede: Supersede | None = None,
    ) -> ServedEdit:  # fmt: skip
        """What would come of a correction; nothing is written."""
        return self._do(
            calls.edit(image, prompt, target, rephrasings=rephrasings, reason="",
                       namespace=namespace, supersede=supersede, keep=True, preview=True)
        )  # fmt: skip

    def edits(
        self, *, namespace: str | None = None, search: str = "", state: str = ""
    ) -> Iterator[ServedEdit]:
        """All edits of a namespace, the oldest first, read page by page."""
        after: int | None = 0
        while after is not None:
            found = self.page(namespace=namespace, search=search, state=state, after=after)
            yield from found.edits
            after = found.next

    def page(
        self, *, namespace: str | None = None, search: str = "", state: str = "", after: int = 0,
        limit: int = 100,
    ) -> EditPage:  # fmt: skip
        """Some of them."""
        return self._do(
            calls.page(namespace=namespace, search=search, state=state, after=after, limit=limit)
        )

    def get(self, edit_id: str) -> ServedEdit:
        """One edit."""
        return self._do(calls.get(edit_id))

    def revoke(self, edit_id: str, *, reason: str = "") -> ServedEdit:
        """Take an edit back."""
        return self._do(calls.revoke(edit_id, reason))

    def restore(self, edit_id: str, *, reason: str = "") -> ServedEdit:
        """Take a revocation back."""
        return self._do(calls.restore(edit_id, reason))

    def revoke_many(self, edit_ids: Sequence[str], *, reason: str = "") -> list[ServedEdit]:
        """Take edits back together, all of them or none; 200 at most."""
        return self._do(calls.revoke_many(edit_ids, reason))

    def restore_many(self, edit_ids: Sequence[str], *, reason: str = "") -> list[ServedEdit]:
        """Take revocations back together, all of them or none; 200 at most."""
        return self._do(calls.restore_many(edit_ids, reason))

    def revisions(self, *, after: int = 0) -> list[Revision]:
        """What was done, by whom and why."""
        return self._do(calls.revisions(after))

    def export(
        self, file: str | os.PathLike[str], *, namespace: str | None = None,
        everything: bool = False,
    ) -> Path:  # fmt: skip
        """Write a namespace's edits, or all, as a zip file."""
        data = self._do(calls.export(namespace, everything=everything))
        Path(file).write_bytes(data)
        return Path(file)

    def import_(self, file: str | os.PathLike[str]) -> Imported:
        """Have the server take up such a file."""
        return self._do(calls.import_(Path(file)))

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _do(self, call: Call[T]) -> T:
        for tried in range(self._retries + 1):
            found = problem = None
            try:
                found = self._sent(call)
            except httpx.TransportError as error:
                problem = error
            pause = sending.wait(call, tried, found)
            if pause is None or tried == self._retries:
                break
            time.sleep(pause)
        if found is None:
            assert problem is not None
            raise sending.unreachable(self._http, problem) from problem
        return sending.read(call, found)

    def _sent(self, call: Call[Any]) -> httpx.Response:
        if call.content is None:
            return self._http.send(sending.request(call, self._http))
        with call.content.open("rb") as file:
            return self._http.send(sending.request(call, self._http, file))
