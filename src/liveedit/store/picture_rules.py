"""What a store keeps of the pictures that edits are made with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

from liveedit.errors import StoreError


class Keep(StrEnum):
    """What is kept of a picture, beside its thumbnail."""

    files = "files"
    pixels = "pixels"
    off = "off"


@dataclass(frozen=True, kw_only=True)
class PictureRules:
    """Whether a store keeps pictures, and how many bytes of them.

    A picture beyond a limit is not kept: its edit is made all the same, with a thumbnail.

    Args:
        keep: ``files``: the file that a picture was read from, with all that is in it, also where
            and when a telephone took it; of a picture that was read from none, its pixels.
            ``pixels``: its pixels alone, without loss. ``off``: nothing.
        each: Bytes that a picture may take.
        total: Bytes that all of them may take.

    Raises:
        StoreError: A limit is negative.
    """

    keep: Keep = Keep.files
    each: int = 10_000_000
    total: int = 10_000_000_000

    def __post_init__(self) -> None:
        if self.each < 0 or self.total < 0:
            raise StoreError("a limit of pictures cannot be negative; give 0 or more bytes")

    def as_json(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, rules: Mapping[str, object]) -> PictureRules:
        """From what :meth:`as_json` gave; what is missing is as by default.

        Raises:
            StoreError: It is something else.
        """
        try:
            limits = {name: int(str(rules[name])) for name in ("each", "total") if name in rules}
            return cls(keep=Keep(str(rules.get("keep", Keep.files))), **limits)
        except ValueError as error:
            raise StoreError(f"{dict(rules)} does not say what to keep of pictures") from error
