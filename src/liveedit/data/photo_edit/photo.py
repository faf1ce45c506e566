"""A photograph of one thing, in the place that a scene has in emoji-edit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from liveedit.data.resaving import Resaved

AGAIN = ("crop of 8%", "JPEG 40")  # another view where there is no other photograph


@dataclass(frozen=True, kw_only=True)
class Photo:
    """A photograph.

    Args:
        file: Where it is.
        thing: Name of its class.
        another: Another photograph of the same; None if there is none.
    """

    file: Path
    thing: str
    another: Path | None = None

    @property
    def concepts(self) -> tuple[str, ...]:
        """What it shows."""
        return (self.thing,)

    def redrawn(self) -> Photo | Resaved:
        """Another photograph of the same, or else this one, cropped and saved anew."""
        if self.another is None:
            return Resaved(self, AGAIN)
        return Photo(file=self.another, thing=self.thing, another=self.file)
