"""From what callers give to questions and edits: opened pictures, checked texts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TypeAlias

from PIL import Image

from liveedit.backbones.query import Questions
from liveedit.correction import Correction, ImageSource, checked_text, image_identity, open_image
from liveedit.correction.images import SupportsArray
from liveedit.store.edit import Edit

Given: TypeAlias = "ImageSource | Sequence[ImageSource | Sequence[ImageSource] | None] | None"


def open_questions(images: Given, prompts: Sequence[str]) -> Questions:
    """Open the pictures and check the texts of a batch.

    Args:
        images: One, several or None for each question; or one for all of them, or None.
        prompts: The questions.

    Raises:
        ValueError: There are not as many pictures as questions.
        BadImage, EmptyText, TextTooLong, BadText: See :mod:`liveedit.correction`.
    """
    return Questions(
        pictures=[
            [open_image(one) for one in image]
            if isinstance(image, list | tuple)
            else None
            if image is None
            else open_image(image)
            for image in _one_each(images, len(prompts))
        ],
        prompts=[checked_text(prompt, "prompt") for prompt in prompts],
    )


def _one_each(images: Any, count: int) -> Sequence[Any]:
    """Pictures for so many questions."""
    single = images is None or isinstance(images, str | os.PathLike | bytes | Image.Image)
    if single or (isinstance(images, SupportsArray) and getattr(images, "ndim", 3) < 4):
        return [images] * count
    listed = list(images)
    if len(listed) != count:
        raise ValueError(
            f"there are {len(listed)} pictures and {count} questions; give one picture (a list of "
            "several, or None) for each question, or a single one for all"
        )
    return listed


def edits_of(
    corrections: Sequence[Correction],
    *,
    namespaces: Sequence[str],
    authors: Sequence[str],
    reasons: Sequence[str],
) -> list[Edit]:
    """What a store keeps of corrections for people; each gets a new name."""
    return [
        Edit(
            prompt=correction.prompt,
            target=correction.target,
            image=None if correction.image is None else image_identity(correction.image),
            namespace=namespace,
            author=author,
            reason=reason,
        )
        for correction, namespace, author, reason in zip(
            corrections, namespaces, authors, reasons, strict=True
        )
    ]
