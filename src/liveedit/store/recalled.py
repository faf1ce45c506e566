"""Corrections again from what a store keeps of them: texts, and pictures or their thumbnails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from liveedit.correction import Correction
from liveedit.correction.images import Pictures, open_image
from liveedit.errors import LiveEditError
from liveedit.store.edit import Edit


@runtime_checkable
class KeepsPictures(Protocol):
    """A store, or its log."""

    def thumbnail(self, image: str) -> bytes | None:
        """The thumbnail of a picture."""

    def files(self, image: str) -> tuple[bytes, ...]:
        """The pictures of an edit as files."""

    def parts(self, image: str) -> tuple[str, ...]:
        """Identities of the single pictures of an edit."""


@dataclass(frozen=True, kw_only=True)
class Recalled:
    """A correction as it was stated, as far as the store knows.

    Args:
        edit: What was made of it.
        correction: With its pictures; None if they are gone.
        shown: By what its pictures are told: themselves, thumbnails, or not at all; a text-only
            correction is told ``whole``.
        problem: Why there is no correction.
    """

    edit: Edit
    correction: Correction | None
    shown: Literal["whole", "thumbnail", "missing"]
    problem: str | None = None


def recall(store: KeepsPictures, edit: Edit) -> Recalled:
    """State again what an edit was made of.

    Args:
        store: Where the edit is.
        edit: Of it.
    """
    if edit.image is None:
        return _with(edit, None, "whole")
    try:
        files = store.files(edit.image)
        if files:
            opened = tuple(open_image(data) for data in files)
            return _with(edit, opened if len(opened) > 1 else opened[0], "whole")
        if len(store.parts(edit.image)) > 1:
            return _missing(edit, "its pictures were not kept, only one thumbnail of all of them")
        small = store.thumbnail(edit.image)
        if small is None:
            return _missing(edit, "its picture was not kept, and its thumbnail is missing")
        return _with(edit, open_image(small), "thumbnail")
    except LiveEditError as error:  # another release of a library may refuse what one took
        return _missing(edit, f"its picture cannot be opened any more ({error})")


def _with(edit: Edit, pictures: Pictures, shown: Literal["whole", "thumbnail"]) -> Recalled:
    correction = Correction(
        image=pictures, prompt=edit.prompt, target=edit.target, rephrasings=edit.rephrasings
    )
    return Recalled(edit=edit, correction=correction, shown=shown)


def _missing(edit: Edit, problem: str) -> Recalled:
    return Recalled(edit=edit, correction=None, shown="missing", problem=problem)
