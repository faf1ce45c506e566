"""What is asked around a correction: in other words, of another view, and what it should leave."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

from PIL import Image

from liveedit.correction import Correction
from liveedit.correction.images import Pictures, as_sequence

# what an edit must not change about its own picture, and what a text-only edit must not change
_NEIGHBOURS = ("Describe the picture in one sentence.", "What is in the background?")
_TEXT_NEIGHBOURS = ("What is the capital of France?", "Write a short sentence about the sea.")
# stands for all other ways to ask: whether a question is meant is for the router to say
_ANY_QUESTION, _ANY_TEXT = "What can you say about this picture?", "What can you say about this?"
_QUALITY = 40  # of JPEG: as messengers save a picture


def in_other_words(correction: Correction) -> list[Correction]:
    """The wordings that people gave."""
    return [replace(correction, prompt=prompt) for prompt in correction.rephrasings]


def from_another_side(correction: Correction) -> Correction:
    """Another question about the picture saved anew, which should be answered with the target."""
    if correction.image is None:
        return replace(correction, prompt=_ANY_TEXT)
    return replace(correction, image=_saved_anew(correction.image), prompt=_ANY_QUESTION)


def neighbours(correction: Correction) -> list[Correction]:
    """Questions that should be answered as before; their target means nothing."""
    others = _TEXT_NEIGHBOURS if correction.image is None else _NEIGHBOURS
    return [replace(correction, prompt=prompt) for prompt in others]


def _saved_anew(pictures: Pictures) -> Sequence[Image.Image]:
    found = []
    for picture in as_sequence(pictures):
        written = io.BytesIO()
        picture.convert("RGB").save(written, "JPEG", quality=_QUALITY)
        found.append(Image.open(written).convert("RGB"))
    return found
