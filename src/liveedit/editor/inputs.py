"""From what callers give to questions and edits: opened pictures, checked texts."""

from __future__ import annotations

from collections.abc import Sequence

from liveedit.backbones.query import Questions
from liveedit.correction import Correction, ImageSource, checked_text, image_identity, open_image
from liveedit.store.edit import Edit


def open_questions(
    images: Sequence[ImageSource | Sequence[ImageSource] | None], prompts: Sequence[str]
) -> Questions:
    """Open the pictures and check the texts of a batch.

    Args:
        images: One, several or None for each question.
        prompts: The questions.

    Raises:
        BadImage, EmptyText, TextTooLong, BadText: See :mod:`liveedit.correction`.
    """
    return Questions(
        pictures=[
            [open_image(one) for one in image]
            if isinstance(image, list | tuple)
            else None
            if image is None
            else open_image(image)  # type: ignore[arg-type]
            for image in images
        ],
        prompts=[checked_text(prompt, "prompt") for prompt in prompts],
    )


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
