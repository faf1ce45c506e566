"""What a person states: on this picture, this prompt should be answered with this target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from liveedit.correction.images import (
    ImageSource,
    Pictures,
    image_identity,
    open_image,
    pictures_identity,
)
from liveedit.errors import BadImage, BadText, EmptyText, TextTooLong

__all__ = [
    "MAX_CHARACTERS",
    "Correction",
    "ImageSource",
    "Pictures",
    "checked_text",
    "image_identity",
    "open_image",
    "pictures_identity",
]

MAX_CHARACTERS = {"prompt": 4000, "target": 8000}
MAX_PICTURES, MAX_REPHRASINGS = 16, 32


@dataclass(frozen=True, kw_only=True)
class Correction:
    """Asked `prompt` about `image`, the model should say `target`.

    Args:
        image: RGB picture, upright, or several that the question is about together; None for a
            text-only correction.
        prompt: The question, without the chat template.
        target: The right answer.
        rephrasings: The question in other words, which should be answered with the target, too.
    """

    image: Pictures
    prompt: str
    target: str
    rephrasings: tuple[str, ...] = ()

    @classmethod
    def checked(
        cls,
        image: ImageSource | Sequence[ImageSource] | None,
        prompt: str,
        target: str,
        rephrasings: Sequence[str] = (),
    ) -> Correction:
        """Correction from what somebody handed in; the short texts are looked at first.

        Raises:
            EmptyText, TextTooLong, BadText: See `checked_text`; or there are more than
                `MAX_REPHRASINGS`.
            BadImage: See `open_image`; or there are more than `MAX_PICTURES`.
            TypeError: The rephrasings are a single text.
        """
        if isinstance(rephrasings, str):
            raise TypeError("rephrasings is a list of texts, not one text")
        if len(rephrasings) > MAX_REPHRASINGS:
            raise BadText(
                "list of rephrasings", f"has {len(rephrasings)}; give {MAX_REPHRASINGS} or fewer"
            )
        prompt, target = checked_text(prompt, "prompt"), checked_text(target, "target")
        others = tuple(checked_text(one, "rephrasing") for one in rephrasings)
        return cls(image=_opened(image), prompt=prompt, target=target, rephrasings=others)


def _opened(image: ImageSource | Sequence[ImageSource] | None) -> Pictures:
    if image is None:
        return None
    if not isinstance(image, list | tuple):
        return open_image(cast("ImageSource", image))
    if len(image) > MAX_PICTURES:
        raise BadImage(f"there are {len(image)} pictures; give {MAX_PICTURES} or fewer")
    opened = tuple(open_image(one) for one in image)
    return opened if len(opened) > 1 else next(iter(opened), None)


def checked_text(text: str, what: Literal["prompt", "target", "rephrasing"]) -> str:
    """The text without white space around it.

    Raises:
        EmptyText: Nothing is left.
        TextTooLong: More than `MAX_CHARACTERS` are left.
        BadText: It holds a NUL character or cannot be encoded as UTF-8.
    """
    text = text.strip()
    if not text:
        raise EmptyText(what)
    limit = MAX_CHARACTERS["target" if what == "target" else "prompt"]
    if len(text) > limit:
        raise TextTooLong(what, characters=len(text), limit=limit)
    if "\0" in text:
        raise BadText(what, "holds a NUL character; remove it")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadText(what, "holds half a surrogate pair; decode it as UTF-8") from error
    return text
