"""What vLLM is compared with: a tiny model, its edits, and the answers of the transformers path.

Runs in the project's own environment, because vLLM asks for an older transformers:
``python -m tests.vllm.reference FAMILY FOLDER --corrections 20 --recipe published``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from liveedit.backbones.base import Backbone
from liveedit.backbones.registry import load_backbone
from liveedit.correction import Correction, open_image
from liveedit.data.emoji_edit.corrections import training_cases, validation_set
from liveedit.data.views import views_of
from liveedit.editor import EditedModel
from liveedit.methods.liveedit.config import EditorConfig, LiveEditConfig
from liveedit.methods.liveedit.method import LiveEdit
from liveedit.training.calibrated_editor import CalibrationSettings, calibrate_editor
from liveedit.training.data import TrainingData
from liveedit.training.editor import EditorTraining, train_editor
from liveedit.training.loop import LoopConfig
from liveedit.training.published import EDITOR, PublishedTraining, train_published
from tests.backbones.parts import EDIT_LAYER
from tests.vllm.tiny_models import write_model

VIEWS = ("edit", "rephrase", "redrawn", "other image", "other question", "elsewhere", "fact")
TARGETS = ("a red dog", "in Rome", "yes, my friend", "who are you", "a friend")
NAMESPACES = ("", "left", "right")
TOKENS, BATCH = 12, 8


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("family")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--corrections", type=int, default=20)
    parser.add_argument("--recipe", choices=sorted(_EDITORS), default="calibrated")
    parser.add_argument("--words", action="store_true", help="questions are compared by words, too")
    given = parser.parse_args()
    prepare(given.family, given.folder, given.corrections, given.recipe, words=given.words)


def prepare(
    family: str, folder: Path, corrections: int, recipe: str = "calibrated", *, words: bool = False
) -> None:
    """Write model, editor, store and what is expected of them."""
    source = write_model(family, folder / "model")
    backbone = load_backbone(source, edit_layer=EDIT_LAYER, dtype=torch.float32)
    held = validation_set(max(corrections, 8))
    _EDITORS[recipe](backbone, folder)
    config = LiveEditConfig(refine_steps=20, sentence_encoder=words)
    method = LiveEdit.load(backbone, folder / "editor", config)
    with EditedModel(method, folder / "edits.db") as model:
        asked = _edit(model, held[:corrections], folder)
        found = [*_answers(model, asked)]
        if words:
            method.config = config.model_copy(update={"sentence_encoder": False})
            without = [one["edited"] for one in _answers(model, asked)]
            found = [one | {"wordless": ids} for one, ids in zip(found, without, strict=True)]
    (folder / "expected.json").write_text(
        json.dumps({"family": family, "ends": backbone.ends, "questions": found}, indent=1)
    )


def _calibrated(backbone: Backbone, folder: Path) -> None:
    data = TrainingData(cases=list(islice(training_cases(), 8)), held=validation_set(8))
    network = calibrate_editor(backbone, data, CalibrationSettings()).network
    LiveEdit(backbone, network).save(folder / "editor")


def _ours(backbone: Backbone, folder: Path) -> None:
    config = EditorTraining(
        editor=EditorConfig(width=64, heads=2, vectors=2),
        corrections=96, text_corrections=48, validation=16,
        router=LoopConfig(steps=60, learning_rate=1e-3), router_batch=24, text_batch=8,
        generator=LoopConfig(steps=20, learning_rate=1e-3),
        generator_batch=4, generator_text_batch=2,
    )  # fmt: skip
    train_editor(backbone, folder, config)


def _published(backbone: Backbone, folder: Path) -> None:
    config = PublishedTraining(
        editor=EDITOR.model_copy(update={"width": 64, "heads": 2, "vectors": 2}),
        corrections=192, loop=LoopConfig(steps=300, learning_rate=2e-3), batch=4, routing_batch=48,
        validation=0,
    )  # fmt: skip
    train_published(backbone, folder, config)


_EDITORS = {"calibrated": _calibrated, "ours": _ours, "published": _published}


def _edit(model: EditedModel, held: Sequence[Any], folder: Path) -> list[dict[str, Any]]:
    """Make corrections in turn in each namespace; the questions around them."""
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    made, namespaces, asked = [], [], []
    for number, case in enumerate(held):
        namespace = NAMESPACES[number % len(NAMESPACES)]
        shown = views_of(case, VIEWS)
        picture, question = shown[0]
        made.append(
            Correction(
                image=open_image(picture),
                prompt=question,
                target=TARGETS[number % len(TARGETS)],
            )
        )
        namespaces.append(namespace)
        for view, (seen, words) in zip(VIEWS, shown, strict=True):
            name = None
            if seen is not None:
                name = f"pictures/{number}-{view.replace(' ', '-')}.png"
                open_image(seen).save(folder / name)
            asked.append({"view": view, "picture": name, "question": words, "namespace": namespace})
    model.edit_many(made, namespaces=namespaces, keep=True, supersede="never")
    for one in asked:
        images = int(one["picture"] is not None)
        one["prompt"] = _prompt(model.backbone, one["question"], images=images)
        one["file"] = None if one["picture"] is None else str(folder / one["picture"])
    return asked


def _prompt(backbone: Backbone, question: str, *, images: int) -> str:
    """A prompt without what vLLM itself puts in front."""
    text = backbone.prompt_text(question, images=images)
    if backbone.family == "blip-2":  # image tokens, and the start of the sequence
        return text.removeprefix(backbone.marker * images + backbone.tokenizer.bos_token)
    return text


def _answers(model: EditedModel, asked: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The questions with the tokens that are answered, with edits and without."""
    for namespace in NAMESPACES:
        own = [one for one in asked if one["namespace"] == namespace]
        for start in range(0, len(own), BATCH):
            some = own[start : start + BATCH]
            pictures = [one["file"] and Image.open(one["file"]) for one in some]
            with model.namespace(namespace):
                edited = _generated(model, pictures, some)
                with model.disabled():
                    plain = _generated(model, pictures, some)
            for one, (ids, margins), (before, _) in zip(some, edited, plain, strict=True):
                yield one | {"edited": ids, "margins": margins, "plain": before}


def _generated(
    model: EditedModel, pictures: Sequence[Any], asked: Sequence[dict[str, Any]]
) -> list[tuple[list[int], list[float]]]:
    """Tokens of each answer up to its end, and by how much each beat the next likeliest."""
    ends = set(model.backbone.ends)
    output = model.generate(
        pictures,
        [one["question"] for one in asked],
        max_new_tokens=TOKENS,
        return_dict_in_generate=True,
        output_scores=True,
    )
    new = output.sequences[:, -len(output.scores) :].tolist()
    scores = torch.stack(output.scores, 1).float().log_softmax(-1).topk(2, dim=-1).values
    found = []
    for ids, top in zip(new, scores, strict=True):
        stop = next((at + 1 for at, one in enumerate(ids) if one in ends), len(ids))
        found.append((ids[:stop], (top[:stop, 0] - top[:stop, 1]).tolist()))
    return found


if __name__ == "__main__":
    main()
