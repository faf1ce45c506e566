"""Pictures of corrections: at hand, or as thumbnails that a store keeps."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence

from PIL import Image, ImageOps

from liveedit.correction.images import Pictures, pictures_identity
from liveedit.correction.same_picture import same_picture

Thumbnail = Callable[[str], bytes | None]


class KnownPictures:
    """Compares a picture with those of edits.

    Args:
        thumbnail: The thumbnail (WEBP) of a picture by its identity, if there is one.
        at_hand: Pictures by their identity that need none.
    """

    def __init__(
        self, thumbnail: Thumbnail, at_hand: Mapping[str | None, Pictures] | None = None
    ) -> None:
        self._thumbnail = thumbnail
        self._opened: dict[str, Pictures] = {
            image: picture for image, picture in (at_hand or {}).items() if image is not None
        }

    def same(self, image: str | None, picture: Pictures, other: str | None) -> bool:
        """Whether both are the same picture, or both are none.

        Args:
            image: Identity of a picture.
            picture: The picture; of several pictures only the identity counts.
            other: Identity of another.
        """
        if image == other:
            return True
        if other is None or not isinstance(picture, Image.Image):
            return False
        known = self._open(other)
        return isinstance(known, Image.Image) and same_picture(picture, known)

    def of(
        self, picture: Pictures, others: Sequence[str | None], image: str | None = None
    ) -> list[bool]:
        """Which of some pictures a picture is, or is mirrored where it is none of them.

        Where one is identical, no other is looked at.

        Args:
            picture: The picture.
            others: Identities of the others.
            image: Its own identity; that of its pixels by default.
        """
        image = pictures_identity(picture) if image is None else image
        if image in others:
            return [image == other for other in others]
        found = [self.same(image, picture, other) for other in others]
        if any(found) or not isinstance(picture, Image.Image):
            return found
        mirrored = ImageOps.mirror(picture)
        return [self.same(None, mirrored, other) if other else False for other in others]

    def _open(self, image: str) -> Pictures:
        if image not in self._opened:
            data = self._thumbnail(image)
            self._opened[image] = None if data is None else Image.open(io.BytesIO(data))
        return self._opened[image]
