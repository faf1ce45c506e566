"""What is in force for the running thread or task: some edits, a set of them, a revision."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any

from liveedit.errors import PastRevision
from liveedit.store.base import Store
from liveedit.store.edit import Edit
from liveedit.store.pool import Pool


class Scopes:
    """Contexts of a model; each is a context variable, so that no other caller is in it.

    Args:
        store: The edits.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._only: ContextVar[frozenset[str] | None] = ContextVar("only", default=None)
        self._namespace: ContextVar[str] = ContextVar("namespace", default="")
        self._revision: ContextVar[int | None] = ContextVar("revision", default=None)

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The edits in force, oldest first; within :meth:`at`, those of that revision."""
        return self.store.edits_at(self._revision.get())

    @contextmanager
    def only(self, edit_ids: Collection[str]) -> Iterator[None]:
        """Within this context only these edits are in force (in this thread or task)."""
        for edit_id in edit_ids:
            self.store.get(edit_id)
        token = self._only.set(frozenset(edit_ids))
        try:
            yield
        finally:
            self._only.reset(token)

    @contextmanager
    def namespace(self, name: str) -> Iterator[None]:
        """Within this context edits are made in, and queries answered by, this set of edits alone.

        Sets know nothing of each other: edits of one never answer, contradict or supersede those
        of another. Outside any context it is the set named "".
        """
        token = self._namespace.set(name)
        try:
            yield
        finally:
            self._namespace.reset(token)

    @contextmanager
    def at(self, revision: int) -> Iterator[None]:
        """Within this context the model answers as it did at a revision of the store.

        Raises:
            UnknownRevision: It is still to come.
        """
        self.store.pool((), revision=revision)
        token = self._revision.set(revision)
        try:
            yield
        finally:
            self._revision.reset(token)

    def disabled(self) -> AbstractContextManager[None]:
        """Within this context no edit is in force (in this thread or task)."""
        return self.only(())

    def __reduce_ex__(self, _protocol: object) -> Any:
        """Neither copied nor pickled: its store, its hook and its scopes belong to one process."""
        raise TypeError(
            "an edited model cannot be copied or pickled; save it with save_pretrained and load it "
            "with from_pretrained, or make another: EditedModel(model.method)"
        )

    def _pool(self) -> Pool:
        return self.store.pool(
            self._only.get(), namespaces=[self._namespace.get()], revision=self._revision.get()
        )

    def _refuse_past(self) -> None:
        revision = self._revision.get()
        if revision is not None:
            raise PastRevision(revision)
