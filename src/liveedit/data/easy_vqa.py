"""easy-VQA: pictures of single shapes with questions, from an installed package."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from liveedit.errors import MissingExtra

Asked = tuple[Image.Image | None, str, str]
Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One question and its answer."""

    question: str
    answer: str


@cache
def easy_vqa_questions(split: str) -> dict[int, tuple[Turn, ...]]:
    """Questions of a split (train or test), by picture.

    Raises:
        MissingExtra: easy-VQA is not installed.
    """
    package = _package()
    asked = package.get_train_questions() if split == "train" else package.get_test_questions()
    by_picture: dict[int, list[Turn]] = {}
    for question, answer, picture in zip(*asked, strict=True):
        by_picture.setdefault(picture, []).append(Turn(question=question, answer=answer))
    return {picture: tuple(turns) for picture, turns in by_picture.items()}


def easy_vqa_test() -> list[Asked]:
    """The test questions: picture, question, right answer."""
    paths = _package().get_test_image_paths()
    asked: list[Asked] = []
    for picture, turns in easy_vqa_questions("test").items():
        with Image.open(paths[picture]) as file:
            image = file.convert("RGB")
        asked += [(image, turn.question, turn.answer) for turn in turns]
    return asked


def evenly(asked: list[Item], limit: int | None) -> list[Item]:
    """So many of the questions, drawn evenly from all of them."""
    if limit is None or limit >= len(asked):
        return asked
    chosen = np.linspace(0, len(asked) - 1, limit).round().astype(int)
    return [asked[index] for index in chosen]


def _package() -> Any:
    try:
        import easy_vqa
    except ImportError:
        raise MissingExtra("easy-vqa", extra="drawings") from None
    return easy_vqa
