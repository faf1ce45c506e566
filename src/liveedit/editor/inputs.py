"""From what callers give to questions and edits: opened pictures, checked texts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from PIL import Image

from liveedit.backbones.query import Questions
from liveedit.correction import Correction, ImageSource, checked_text, open_image, pictures_identity
from liveedit.correction.conversation import Messages, read_conversation
from liveedit.correction.images import SupportsArray, as_sequence
from liveedit.errors import MethodCannot, TextOnlyCorrection
from liveedit.methods.base import Method
from liveedit.store.base import Store
from liveedit.store.edit import Edit
from liveedit.store.memory import MemoryStore
from liveedit.store.sql import SqlStore

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


def open_conversations(conversations: Sequence[Messages]) -> Questions:
    """The last questions of conversations, with what precedes them.

    Raises:
        BadConversation, BadImage: See :func:`liveedit.correction.conversation.read_conversation`.
    """
    read = [read_conversation(messages) for messages in conversations]
    return Questions(
        pictures=[list(one.pictures) or None for one in read],
        prompts=[checked_text(one.question, "prompt") for one in read],
        histories=[one.history for one in read],
    )


def stated_correction(
    image: ImageSource | Sequence[ImageSource] | None,
    prompt: str | None,
    target: str | None,
    messages: Messages | None,
    rephrasings: Sequence[str],
) -> Correction:
    """A correction from picture and question, or from a conversation.

    Raises:
        TypeError: Prompt or target is missing, or there is a conversation beside them.
        LiveEditError: It cannot be read; see :meth:`liveedit.editor.model.EditedModel.edit`.
    """
    if target is None or (prompt is None) == (messages is None):
        raise TypeError("give a target, and either a prompt or messages")
    if messages is None:
        assert prompt is not None
        return Correction.checked(image, prompt, target, rephrasings)
    if image is not None:
        raise TypeError("a conversation shows its own pictures: put the picture into a message")
    return correction_of(messages, target, rephrasings)


def correction_of(messages: Messages, target: str, rephrasings: Sequence[str] = ()) -> Correction:
    """What a person states who says how a conversation should have been answered.

    Args:
        messages: Ends with the user's question, or with the answer that was wrong.
        target: The right answer.
        rephrasings: The question in other words.

    Raises:
        BadConversation: It cannot be read.
    """
    if messages and messages[-1].get("role") == "assistant":
        messages = messages[:-1]
    read = read_conversation(messages)
    return Correction.checked(read.pictures, read.question, target, rephrasings)


def check_corrections(method: Method, corrections: Sequence[Correction]) -> None:
    """Refuse what a method or its model cannot take, before any work.

    Raises:
        TextOnlyCorrection, MethodCannot: A correction has no picture, or several.
        ControlTokenInText: A text holds a control token of the model.
        TargetTooLong: A target has too many tokens.
    """
    for one in corrections:
        if not method.abilities.text_only and one.image is None:
            raise TextOnlyCorrection(method.name)
        if not method.abilities.several_pictures and len(as_sequence(one.image)) > 1:
            raise MethodCannot(
                method.name, "correct a question about several pictures", instead="give one"
            )
        for text in (one.prompt, *one.rephrasings):
            method.backbone.checked(text)
        method.backbone.check_target(one.target)


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
    author: str | Sequence[str],
    reason: str | Sequence[str],
) -> list[Edit]:
    """What a store keeps of corrections for people; each gets a new name."""
    authors, reasons = (
        [one] * len(corrections) if isinstance(one, str) else one for one in (author, reason)
    )
    return [
        Edit(
            prompt=correction.prompt,
            target=correction.target,
            image=pictures_identity(correction.image),
            rephrasings=correction.rephrasings,
            namespace=namespace,
            author=by,
            reason=why,
        )
        for correction, namespace, by, why in zip(
            corrections, namespaces, authors, reasons, strict=True
        )
    ]


def store_for(method: Method, store: Store | str | Path | None) -> Store:
    """A store of edits that the method made, or will make; in memory by default.

    Raises:
        OtherMethod, StoreError: It is of another method, or cannot be used.
    """
    device = method.backbone.edit_device
    if store is None:
        return MemoryStore(method.layout, device=device)
    if isinstance(store, str | Path):
        return SqlStore(store, method.identity, device=device)
    if isinstance(store, SqlStore):
        store.log.require(method.identity)
    return store
