"""Pictures of corrections: at hand, or as thumbnails that a store keeps."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence

from PIL import Image, ImageOps

from liveedit.correction.glance import Glance, alike_at_a_glance, glance
from liveedit.correction.images import Pictures, pictures_identity
from liveedit.correction.same_picture import Comparable, same_compared

Thumbnail = Callable[[str], bytes | None]
_COMPARED = 4  # at most, of those that are alike at a glance
_KEPT = 16_384  # glances, 3 KB each
_glances: dict[str, Glance] = {}  # by the identity of the picture, whosever it is


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
        self._shown: Comparable | None = None
        self._known: dict[str, Comparable] = {}

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
        known = self._comparable(other)
        if known is None:
            return False
        if self._shown is None or self._shown.picture is not picture:
            self._shown = Comparable(picture)
        return same_compared(self._shown, known)

    def of(
        self,
        picture: Pictures,
        others: Sequence[str | None],
        image: str | None = None,
        unlikely: Sequence[str | None] = (),
    ) -> list[bool]:
        """Which of some pictures a picture is, or is mirrored where it is none of them.

        Where one is identical, no other is looked at.

        Args:
            picture: The picture.
            others: Identities of the others.
            image: Its own identity; that of its pixels by default.
            unlikely: More of them, which are compared only where they are alike at a glance.

        Returns:
            For each of the others, and then of the unlikely ones.
        """
        image = pictures_identity(picture) if image is None else image
        every = [*others, *unlikely]
        if image in every:
            return [image == other for other in every]
        found = self._compared(image, picture, others, unlikely)
        if any(found) or not isinstance(picture, Image.Image):
            return found
        return self._compared(None, ImageOps.mirror(picture), others, unlikely)

    def _compared(
        self,
        image: str | None,
        picture: Pictures,
        others: Sequence[str | None],
        unlikely: Sequence[str | None],
    ) -> list[bool]:
        def same(other: str | None) -> bool:
            # the mirror image of a picture has no identity, and is not none
            return (image or other) is not None and self.same(image, picture, other)

        near = self._near(picture, unlikely)
        return [same(other) for other in others] + [
            at in near and same(other) for at, other in enumerate(unlikely)
        ]

    def _near(self, picture: Pictures, others: Sequence[str | None]) -> set[int]:
        """Places of those that are alike at a glance."""
        if not others or not isinstance(picture, Image.Image):
            return set()
        seen = [
            (at, one) for at, other in enumerate(others) if (one := self._glance(other)) is not None
        ]
        near = alike_at_a_glance(glance(picture), [one for _, one in seen], _COMPARED)
        return {seen[place][0] for place in near}

    def _glance(self, image: str | None) -> Glance | None:
        if image is None:
            return None
        seen = _glances.get(image)
        if seen is None and isinstance(known := self._open(image), Image.Image):
            if len(_glances) >= _KEPT:
                _glances.clear()
            seen = _glances[image] = glance(known)
        return seen

    def _comparable(self, image: str) -> Comparable | None:
        if image not in self._known:
            picture = self._open(image)
            if not isinstance(picture, Image.Image):
                return None
            self._known[image] = Comparable(picture)
        return self._known[image]

    def _open(self, image: str) -> Pictures:
        if image not in self._opened:
            data = self._thumbnail(image)
            self._opened[image] = None if data is None else Image.open(io.BytesIO(data))
        return self._opened[image]
