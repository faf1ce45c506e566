"""Pictures of a request on their way to the worker, which compares them with those of edits.

Workers of vLLM see numbers for the vision tower, no pictures. Of look-alikes the very picture wins
by its pixels, so the front end sends along what that comparison needs: the identity, and of a
single picture a small copy without loss.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from liveedit.correction.images import (
    Pictures,
    SupportsArray,
    open_image,
    pictures_identity,
)
from liveedit.errors import BadImage

_SIDE = 256  # pixels of the longer side: as many as the thumbnails of a store have


@dataclass(frozen=True, kw_only=True)
class SentPictures:
    """What a worker knows of the pictures of a request.

    Args:
        identity: See :func:`liveedit.correction.images.pictures_identity`.
        picture: A single picture, small; None of several.
    """

    identity: str | None
    picture: Pictures


def given_pictures(data: Mapping[str, Any]) -> list[Image.Image]:
    """Pictures in vLLM's multi-modal data, as the store would have them; none if it has other data.

    Args:
        data: ``multi_modal_data``: one picture or several under ``image``.
    """
    found: Any = data.get("image")
    if found is None:
        return []
    several = found if isinstance(found, list | tuple) else [found]
    # vLLM keeps a file beside the picture that was read from it
    sources: list[Any] = [getattr(one, "media", one) for one in several]
    if not all(isinstance(one, Image.Image | SupportsArray) for one in sources):
        return []
    try:
        return [open_image(one) for one in sources]
    except BadImage:  # embeddings, or what vLLM itself refuses in a moment
        return []


def to_send(pictures: Sequence[Image.Image]) -> dict[str, str | None]:
    """What is sent of the pictures of a request; for JSON."""
    identity = pictures_identity(pictures)
    if len(pictures) != 1:
        return {"identity": identity, "file": None}
    small = pictures[0].convert("RGB")
    small.thumbnail((_SIDE, _SIDE))
    written = io.BytesIO()
    small.save(written, "PNG", compress_level=1)
    return {"identity": identity, "file": base64.b64encode(written.getvalue()).decode()}


def received(sent: Mapping[str, str | None]) -> SentPictures:
    """What :func:`to_send` gave."""
    file = sent["file"]
    picture = None if file is None else Image.open(io.BytesIO(base64.b64decode(file)))
    return SentPictures(identity=sent["identity"], picture=picture)
