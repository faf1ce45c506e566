"""A correction seen from several sides: itself, other words, another picture, another question."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from PIL import Image

from liveedit.benchmark.emoji_edit import EditCase
from liveedit.benchmark.knowledge import TextCase
from liveedit.scenes.scene import Scene, render

Case = EditCase | TextCase
View = Callable[[Any], tuple[Scene | None, str]]

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
    }
)
# those that LiveEdit learns from here
TAUGHT = ("edit", "rephrase", "redrawn", "other image", "other question")
EDIT, REPHRASE, REDRAWN, OTHER_IMAGE, OTHER_QUESTION = range(len(TAUGHT))

TEXT_VIEWS: Mapping[str, View] = MappingProxyType(
    {
        "edit": lambda case: (None, case.question),
        "rephrase": lambda case: (None, case.rephrase),
        "other question": lambda case: (None, case.other_question),
    }
)
TEXT_TAUGHT = tuple(TEXT_VIEWS)
TEXT_EDIT, TEXT_REPHRASE, TEXT_OTHER = range(len(TEXT_TAUGHT))


def question_of(case: Case, name: str) -> str:
    """The question of a view."""
    return _views(case)[name](case)[1]


def views_of(case: Case, names: Sequence[str]) -> list[tuple[Image.Image | None, str]]:
    """Picture and question of some views of a correction; equal scenes are drawn once."""
    views = _views(case)
    seen = [views[name](case) for name in names]
    pictures = {scene: render(scene) for scene in {scene for scene, _ in seen} if scene}
    return [(pictures[scene] if scene else None, question) for scene, question in seen]


def _views(case: Case) -> Mapping[str, View]:
    return TEXT_VIEWS if isinstance(case, TextCase) else VIEWS
