"""What every home of edits can do."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from liveedit.correction.images import Pictures
from liveedit.errors import UnknownEdit
from liveedit.store.edit import Edit
from liveedit.store.pool import Pool
from liveedit.store.tensors import Keys, Values


@runtime_checkable
class Store(Protocol):
    """Edits, and what has become of them; every change makes a new revision.

    The methods are told in :class:`liveedit.store.memory.MemoryStore` and
    :class:`liveedit.store.sql.SqlStore`.
    """

    @property
    def revision(self) -> int:
        """Number of the newest revision."""

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The edits in force, oldest first."""

    def edits_at(self, revision: int | None = None) -> tuple[Edit, ...]:
        """The edits that were in force at a revision."""

    def get(self, edit_id: str, *, revoked: bool = False) -> Edit:
        """One edit that is not revoked, in force or superseded.

        Args:
            edit_id: Its name.
            revoked: Whether it may be revoked.

        Raises:
            UnknownEdit: There is none of that name.
            DamagedEdit: It is not what was written.
        """
        found = self.some([edit_id], revoked=revoked)
        if not found:
            raise UnknownEdit(edit_id)
        return found[edit_id]

    def some(self, ids: Sequence[str], *, revoked: bool = False) -> dict[str, Edit]:
        """Those of some edits that are not revoked, or may be."""

    def thumbnail(self, image: str) -> bytes | None:
        """The thumbnail (WEBP) of a picture that edits were made with; None if there is none."""

    def parts(self, image: str) -> tuple[str, ...]:
        """Identities of the single pictures of an edit, in their order."""

    def files(self, image: str) -> tuple[bytes, ...]:
        """The pictures of an edit as files, in their order; empty if they are not kept."""

    def row(self, edit_id: str) -> int:
        """Which row of the pool an edit has."""

    def add(
        self,
        edits: Sequence[Edit],
        keys: Keys,
        values: Values,
        pictures: Sequence[Pictures] | None = None,
    ) -> None:
        """Take up edits."""

    def revoke(self, edit_id: str, *, author: str = "", reason: str = "") -> Edit:
        """Put an edit out of force; see :meth:`revoke_many`."""
        return self.revoke_many([edit_id], author=author, reason=reason)[0]

    def revoke_many(
        self, edit_ids: Sequence[str], *, author: str = "", reason: str = ""
    ) -> list[Edit]:
        """Put edits out of force; those that they alone superseded are in force again.

        Args:
            edit_ids: Their names.
            author: Who takes them back; only lasting stores keep that.
            reason: Why.

        Raises:
            UnknownEdit: There is none of one of the names, or it is revoked already; nothing was
                changed.
        """

    def restore(self, edit_id: str, *, author: str = "", reason: str = "") -> Edit:
        """Take a revocation back; see :meth:`restore_many`."""
        return self.restore_many([edit_id], author=author, reason=reason)[0]

    def restore_many(
        self, edit_ids: Sequence[str], *, author: str = "", reason: str = ""
    ) -> list[Edit]:
        """Take revocations back: the edits are in force again, and what they supersede is not.

        Args:
            edit_ids: Their names.
            author: Who does it; only lasting stores keep that.
            reason: Why.

        Raises:
            UnknownEdit: There is none of one of the names that is revoked; nothing was changed.
        """

    def replace(
        self,
        revoked: Sequence[str],
        edits: Sequence[Edit],
        keys: Keys,
        values: Values,
        *,
        revision: int,
        author: str = "",
        reason: str = "",
    ) -> None:
        """Put edits out of force and take up others, both or neither.

        Args:
            revoked: Names of those that are taken back.
            edits: What is taken up; their pictures are in the store already.
            keys: What queries are compared with.
            values: Their other tensors.
            revision: The newest of the store, on top of which the edits were made.
            author: Who does it; only lasting stores keep that.
            reason: Why.
        """

    def transaction(self, *, keep: bool = True) -> AbstractContextManager[None]:
        """All that is added within stays, or nothing."""

    def pool(
        self,
        only: Collection[str] | None = None,
        *,
        namespaces: Sequence[str] = ("",),
        revision: int | None = None,
    ) -> Pool:
        """The edits of one revision, as tensors."""
