"""What a person states: on this picture, this prompt should be answered with this target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from PIL import Image

from liveedit.correction.images import ImageSource, image_identity, open_image
from liveedit.errors import BadText, EmptyText, TextTooLong

__all__ = [
    "MAX_CHARACTERS",
    "Correction",
    "ImageSource",
    "checked_text",
    "image_identity",
    "open_image",
]

MAX_CHARACTERS = {"prompt": 4000, "target": 1000}


@dataclass(frozen=True, kw_only=True)
class Correction:
    """Asked `prompt` about `image`, the model should say `target`.

    Args:
        image: RGB picture, upright; None for a text-only correction.
        prompt: The question, without the chat template.
        target: The right answer.
    """

    image: Image.Image | None
    prompt: str
    target: str

    @classmethod
    def checked(cls, image: ImageSource | None, prompt: str, target: str) -> Correction:
        """Correction from what somebody handed in; the short texts are looked at first.

        Raises:
            EmptyText, TextTooLong, BadText: See `checked_text`.
            BadImage: See `open_image`.
        """
        prompt, target = checked_text(prompt, "prompt"), checked_text(target, "target")
        picture = None if image is None else open_image(image)
        return cls(image=picture, prompt=prompt, target=target)


def checked_text(text: str, what: Literal["prompt", "target"]) -> str:
    """The text without white space around it.

    Raises:
        EmptyText: Nothing is left.
        TextTooLong: More than `MAX_CHARACTERS` are left.
        BadText: It holds a NUL character or cannot be encoded as UTF-8.
    """
    text = text.strip()
    if not text:
        raise EmptyText(what)
    if len(text) > MAX_CHARACTERS[what]:
        raise TextTooLong(what, characters=len(text), limit=MAX_CHARACTERS[what])
    if "\0" in text:
        raise BadText(what, "holds a NUL character; remove it")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadText(what, "holds half a surrogate pair; decode it as UTF-8") from error
    return text
