"""Pictures of edits as bytes, by the identities that edits know them by; each is there once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field


@dataclass(kw_only=True)
class PictureSet:
    """Thumbnails, and the pictures themselves as far as they are kept.

    Args:
        thumbnails: WEBP, by the identity of one picture or of several together.
        parts: Identities of single pictures in their order, by that of several together.
        files: By the identity of a single picture.
    """

    thumbnails: dict[str, bytes] = field(default_factory=dict)
    parts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes that the files take."""
        return sum(map(len, self.files.values()))

    def only(self, images: Collection[str | None]) -> PictureSet:
        """What belongs to some edits, by the identities of their pictures."""
        parts = {one: names for one, names in self.parts.items() if one in images}
        wanted = {*images, *(name for names in parts.values() for name in names)}
        return PictureSet(
            thumbnails={one: data for one, data in self.thumbnails.items() if one in images},
            parts=parts,
            files={one: data for one, data in self.files.items() if one in wanted},
        )

    def files_of(self, image: str) -> tuple[bytes, ...]:
        """The pictures of an edit, in their order; empty if not all of them are kept."""
        names = self.parts.get(image, (image,))
        if not all(name in self.files for name in names):
            return ()
        return tuple(self.files[name] for name in names)
