"""From the pictures that edits are made with to what a store keeps of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from PIL import Image

from liveedit.correction.images import (
    Pictures,
    as_sequence,
    image_identity,
    open_image,
    pictures_identity,
)
from liveedit.correction.picture_file import file_of, lossless_file
from liveedit.errors import BadImage
from liveedit.store.edit import Edit
from liveedit.store.picture_rules import Keep, PictureRules
from liveedit.store.picture_set import PictureSet
from liveedit.store.serialization import thumbnail

_log = logging.getLogger(__name__)


def keep_pictures(
    kept: PictureSet, edits: Sequence[Edit], pictures: Sequence[Pictures], rules: PictureRules
) -> None:
    """Take up what edits were made with, as far as the rules say.

    A picture that is not the edit's own, because the edit was made from its thumbnail, is not kept
    as if it were.

    Args:
        kept: What is there, and is added to.
        edits: Which edits.
        pictures: The pictures of each.
        rules: What is kept, and how much at most.
    """
    for edit, shown in zip(edits, pictures, strict=True):
        if edit.image is None or edit.image in kept.thumbnails:
            continue
        kept.thumbnails[edit.image] = thumbnail(shown)
        if pictures_identity(shown) != edit.image:
            continue
        several = as_sequence(shown)
        names = tuple(image_identity(one) for one in several)
        if len(names) > 1:
            kept.parts[edit.image] = names
        for name, one in zip(names, several, strict=True):
            if name not in kept.files and rules.keep is not Keep.off:
                _keep(kept, name, one, rules)


def picture_bytes(name: str, picture: Image.Image, keep: Keep) -> bytes:
    """A picture as a file that gives exactly its pixels.

    Args:
        name: Its identity.
        picture: RGB.
        keep: With ``files`` the file it was read from, if that still shows just this.
    """
    data = file_of(picture) if keep is Keep.files else None
    if data is not None:
        try:
            if image_identity(open_image(data)) == name:
                return data
        except BadImage:
            pass
    return lossless_file(picture)


def _keep(kept: PictureSet, name: str, picture: Image.Image, rules: PictureRules) -> None:
    data = picture_bytes(name, picture, rules.keep)
    if len(data) > rules.each:
        _log.warning(
            "a picture of %.1f MB was not kept, only its thumbnail: the store takes up to %.1f MB "
            "for each",
            len(data) / 1e6, rules.each / 1e6,
        )  # fmt: skip
    elif kept.size + len(data) > rules.total:
        _log.warning(
            "a picture was not kept, only its thumbnail: the store takes up to %.1f MB of them",
            rules.total / 1e6,
        )
    else:
        kept.files[name] = data
