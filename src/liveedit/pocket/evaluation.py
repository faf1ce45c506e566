"""What the pocket VLM can do, measured by free generation and exact comparison."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from liveedit.backbones.base import Backbone
from liveedit.backbones.llava import LlavaBackbone
from liveedit.backbones.registry import load_backbone
from liveedit.benchmark.metrics import same_answer
from liveedit.correction.images import open_image
from liveedit.data.easy_vqa import Asked, easy_vqa_test, evenly
from liveedit.data.emoji_edit.concepts import DRAWINGS, Drawing, all_concepts
from liveedit.data.emoji_edit.families import FAMILY_BY_NAME
from liveedit.data.emoji_edit.scene import Scene, arrange, render
from liveedit.data.photo_edit.corrections import split_of
from liveedit.data.photo_edit.folder import PhotoFolder, read_photo_folder
from liveedit.data.text_prompts import FIXED_PROMPTS
from liveedit.pocket.alignment.styles import held_out_drawings
from liveedit.pocket.assembly import unaligned_pocket
from liveedit.pocket.photographs import imagenet_classes

_SEED = 4_000  # pictures no training ever drew
_SCENES = 1000
_HELD_OUT_PICTURES = 4  # of each drawing: they are few
_TEXT_TOKENS = 24
_BATCH = 64

_Photographed = tuple[Path, str, frozenset[str]]  # file, question, right answers


def evaluate_pocket(
    *, limit: int | None = None, photographs: Path | None = None
) -> dict[str, dict[str, float]]:
    """Measure all figures.

    Args:
        limit: Only so many questions of each kind, drawn evenly from all of them.
        photographs: Photographs by class: those of evaluation classes that have one of ImageNet's
            names are asked about, and any synonym of the name is right.

    Returns:
        For each figure ``right``, ``n`` and ``percent``: names of single things in the drawings
        trained on, and in those held out; exact answers on scenes of two ("What is on the left?");
        easy-VQA's test questions; text-only answers that are word for word those of the language
        model without any alignment.
    """
    backbone = load_backbone("pocket")
    held_out = held_out_drawings()
    figures = {}
    for drawing in DRAWINGS:
        asked = _names(
            [(c.name, drawing) for c in all_concepts() if held_out.get(c.name) != drawing]
        )
        figures[f"name, {drawing}"] = _measure(backbone, asked, limit)
    asked = _names(list(held_out.items()) * _HELD_OUT_PICTURES)
    figures["name, drawing never trained on"] = _measure(backbone, asked, limit)
    for family in ("left", "right"):
        figures[f"two things, {family}"] = _measure(backbone, _pairs(family), limit)
    figures["easy-VQA test"] = _measure(backbone, easy_vqa_test(), limit)
    if photographs is not None:
        named = photographed(read_photo_folder(photographs))
        figures["name, photograph"] = _measure(backbone, named, limit)
    figures["text-only answers unchanged"] = _unchanged(limit)
    return figures


def answers(
    backbone: Backbone,
    images: Sequence[Image.Image | None],
    prompts: Sequence[str],
    *,
    max_new_tokens: int,
) -> list[str]:
    """Greedy answers of the unedited model to one batch."""
    return backbone.generate(backbone.query(images, prompts), max_new_tokens=max_new_tokens)


def _measure(
    backbone: Backbone, asked: Sequence[Asked | _Photographed], limit: int | None
) -> dict[str, float]:
    asked = evenly(list(asked), limit)
    right = 0
    for start in tqdm(range(0, len(asked), _BATCH), desc="questions", unit="batch"):
        pictures, prompts, truths = zip(*asked[start : start + _BATCH], strict=True)
        images = [open_image(one) if isinstance(one, Path) else one for one in pictures]
        given = answers(backbone, images, prompts, max_new_tokens=12)
        for answer, truth in zip(given, truths, strict=True):
            names = (truth,) if isinstance(truth, str) else truth
            right += any(same_answer(answer, name) for name in names)
    return _figure(right, len(asked))


def photographed(folder: PhotoFolder) -> list[_Photographed]:
    """Photographs of evaluation classes that ImageNet has, and all right names."""
    classes = [
        frozenset(name.casefold() for name in names) for names in imagenet_classes().values()
    ]
    random = np.random.default_rng(_SEED)
    family = FAMILY_BY_NAME["name"]
    asked = []
    for thing, files in folder.classes.items():
        right = frozenset().union(*(names for names in classes if thing in names))
        if right and split_of(thing) == "evaluation":
            asked += [(file, str(random.choice(family.evaluation)), right) for file in files]
    return asked


def _names(shown: list[tuple[str, Drawing]]) -> list[Asked]:
    random = np.random.default_rng(_SEED)
    family = FAMILY_BY_NAME["name"]
    return [
        (render(arrange((name,), (drawing,), random)), str(random.choice(family.training)), name)
        for name, drawing in shown
    ]


def _pairs(family: str) -> list[Asked]:
    random = np.random.default_rng((_SEED, len(family)))
    held_out = held_out_drawings()
    names = [concept.name for concept in all_concepts() if concept.name not in held_out]

    def scene() -> Scene:
        first, second = (str(name) for name in random.choice(names, 2, replace=False))
        return arrange((first, second), (DRAWINGS[random.integers(2)],) * 2, random)

    scenes = [scene() for _ in range(_SCENES // 2)]
    chosen = FAMILY_BY_NAME[family]
    return [(render(one), chosen.training[0], chosen.truth(one, "") or "") for one in scenes]


def _unchanged(limit: int | None) -> dict[str, float]:
    """Both models in float32.

    In bfloat16 any change, however small, would turn some answers: rounding decides between words
    that are nearly as likely.
    """
    prompts = FIXED_PROMPTS[:limit]
    published = LlavaBackbone(*unaligned_pocket(), edit_layer=0, name="unaligned")
    aligned = load_backbone("pocket", dtype=torch.float32)
    before, after = (
        answers(one, [None] * len(prompts), prompts, max_new_tokens=_TEXT_TOKENS)
        for one in (published, aligned)
    )
    return _figure(sum(a == b for a, b in zip(after, before, strict=True)), len(prompts))


def _figure(right: int, count: int) -> dict[str, float]:
    return {"right": right, "n": count, "percent": round(100 * right / max(count, 1), 2)}
