"""A correction seen from several sides: itself, other words, another picture, another question."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from PIL import Image

from liveedit.correction import open_image
from liveedit.data.annotations.cases import FactCase, FileCase, HopCase
from liveedit.data.emoji_edit.corrections import EditCase
from liveedit.data.emoji_edit.knowledge import TextCase
from liveedit.data.emoji_edit.scene import Scene, render
from liveedit.data.photo_edit.corrections import PhotoCase
from liveedit.data.photo_edit.photo import Photo
from liveedit.data.resaving import RESAVED, Resaved
from liveedit.saving.files import file_digest

Case = EditCase | PhotoCase | TextCase | FileCase | FactCase | HopCase

Picture = Scene | Photo | Resaved | Path
View = Callable[[Any], tuple[Picture | None, str]]


def _saved_anew(how: str) -> View:
    return lambda case: (Resaved(case.scene, (how,)), case.question.text)


VIEWS: Mapping[str, View] = MappingProxyType(
    {
        "edit": lambda case: (case.scene, case.question.text),
        "rephrase": lambda case: (case.scene, case.rephrase.text),
        "redrawn": lambda case: (case.scene.redrawn(), case.question.text),
        "other image": lambda case: (case.strict_scene, case.question.text),  # RI
        "other question": lambda case: (case.scene, case.strict_question.text),  # CI
        "elsewhere": lambda case: (case.other_scene, case.other_question.text),  # M-Loc
        "fact": lambda case: (None, case.fact.question),  # T-Loc
        "no image": lambda case: (None, case.question.text),  # NI
        "free words": lambda case: (case.scene, case.again.text),
        "met again": lambda case: (Resaved(case.scene, case.index), case.again.text),
        **{f"saved anew: {name}": _saved_anew(name) for name in RESAVED},
    }
)
# those that LiveEdit learns from here
TAUGHT = ("edit", "rephrase", "redrawn", "other image", "other question", "met again")
EDIT, REPHRASE, REDRAWN, OTHER_IMAGE, OTHER_QUESTION, MET_AGAIN = range(len(TAUGHT))

TEXT_VIEWS: Mapping[str, View] = MappingProxyType(
    {
        "edit": lambda case: (None, case.question),
        "rephrase": lambda case: (None, case.rephrase),
        "other question": lambda case: (None, case.other_question),
    }
)
TEXT_TAUGHT = tuple(TEXT_VIEWS)
TEXT_EDIT, TEXT_REPHRASE, TEXT_OTHER = range(len(TEXT_TAUGHT))

FILE_VIEWS: Mapping[str, View] = MappingProxyType(
    {
        "edit": lambda case: (case.image, case.prompt),
        "rephrase": lambda case: (case.image, case.rephrased_prompt),
        "redrawn": lambda case: (case.rephrased_image, case.prompt),
        "other image": lambda case: (case.strict_image, case.prompt),
        "other question": lambda case: (case.image, case.strict_prompt),
        "elsewhere": lambda case: (case.other_image, case.other_prompt),
        "fact": lambda case: (None, case.fact_prompt),
        "no image": lambda case: (None, case.prompt),
    }
)
FACT_VIEWS: Mapping[str, View] = MappingProxyType({"edit": lambda case: (None, case.prompt)})
HOP_VIEWS: Mapping[str, View] = MappingProxyType({"hop": lambda case: (case.image, case.prompt)})

_VIEWS: Mapping[type, Mapping[str, View]] = MappingProxyType(
    {
        EditCase: VIEWS,
        PhotoCase: VIEWS,
        TextCase: TEXT_VIEWS,
        FileCase: FILE_VIEWS,
        FactCase: FACT_VIEWS,
        HopCase: HOP_VIEWS,
    }
)


def seen(case: Case, name: str) -> tuple[Picture | None, str]:
    """Picture, not opened yet, and question of a view."""
    return _VIEWS[type(case)][name](case)


def question_of(case: Case, name: str) -> str:
    """The question of a view."""
    return seen(case, name)[1]


def views_of(case: Case, names: Sequence[str]) -> list[tuple[Image.Image | None, str]]:
    """Picture and question of some views of a correction; equal pictures are made once.

    Raises:
        BadImage: A file is missing or no picture.
    """
    views = [seen(case, name) for name in names]
    pictures = {shown: open_view(shown) for shown in {shown for shown, _ in views} if shown}
    return [(pictures[shown] if shown else None, question) for shown, question in views]


def digest(cases: Sequence[Case], *more: object) -> str:
    """Digest of corrections and of what else decides a result; files count by their content."""
    described = json.dumps([*more, [asdict(case) for case in cases]], default=_content)
    return hashlib.blake2b(described.encode(), digest_size=16).hexdigest()


def open_view(picture: Picture | Hashable) -> Image.Image:
    """The picture of a view, drawn or read, and changed as it says.

    Raises:
        BadImage: A file is missing or no picture.
    """
    if isinstance(picture, Resaved):
        return picture.of(open_view(picture.picture))
    if isinstance(picture, Scene):
        return render(picture)
    assert isinstance(picture, Photo | Path)
    return open_image(picture.file if isinstance(picture, Photo) else picture)


_content = cache(file_digest)
