"""A correction seen from several sides: itself, other words, another picture, no picture at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from PIL import Image

from liveedit.benchmark.emoji_edit import EditCase
from liveedit.scenes.scene import Scene, render

View = Callable[[EditCase], tuple[Scene, str]]

VIEWS: Mapping[str, View] = MappingProxyType(
    {
        "edit": lambda case: (case.scene, case.question.text),
        "rephrase": lambda case: (case.scene, case.rephrase.text),
        "redrawn": lambda case: (case.scene.redrawn(), case.question.text),
        "other image": lambda case: (case.strict_scene, case.question.text),  # RI
        "other question": lambda case: (case.scene, case.strict_question.text),  # CI
        "elsewhere": lambda case: (case.other_scene, case.other_question.text),  # M-Loc
    }
)
# those that LiveEdit learns from here; the strict ones stand where the paper has "elsewhere"
TAUGHT = ("edit", "rephrase", "redrawn", "other image", "other question")
EDIT, REPHRASE, REDRAWN, OTHER_IMAGE, OTHER_QUESTION = range(len(TAUGHT))


def views_of(case: EditCase, names: Sequence[str] = TAUGHT) -> list[tuple[Image.Image, str, str]]:
    """Picture, question and target of some views of a correction; equal scenes are drawn once."""
    seen = [VIEWS[name](case) for name in names]
    pictures = {scene: render(scene) for scene in {scene for scene, _ in seen}}
    return [(pictures[scene], question, case.target) for scene, question in seen]
