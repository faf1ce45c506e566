"""Photographs taught to an aligned pocket VLM, from a folder of photographs by class."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageOps
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from liveedit.correction.images import open_image
from liveedit.data.photo_edit.corrections import split_of
from liveedit.data.photo_edit.folder import read_photo_folder
from liveedit.data.resaving import resaved_at_random
from liveedit.pocket.alignment.photograph_stage import (
    PhotographStageConfig,
    fit_gate,
    fit_projection,
    teach_names,
)
from liveedit.pocket.alignment.pictures import in_batches, pixels, training_pictures
from liveedit.pocket.assembly import merge_alignment, unaligned_pocket
from liveedit.pocket.tower import PocketVisionModel
from liveedit.saving.files import whole

_FITTED = ("gate", "threshold", "project.weight", "project.bias", "class_words")
_DRAWINGS = 2400  # and half as many saved anew


def teach_photographs(
    alignment: Path, photographs: Path, out: Path, config: PhotographStageConfig
) -> Path:
    """Add what photographs need to alignment weights.

    Args:
        alignment: Weights of the stages before.
        photographs: Photographs by class; those of the training classes are used, as everywhere in
            the benchmark of photographs.
        out: Where checkpoints, the log and the result go; the same folder goes on with an
            interrupted run.
        config: Settings.

    Returns:
        The weights to ship, ``alignment.safetensors``.

    Raises:
        BadAnnotations: The folder holds no photographs by class.
    """
    folder = read_photo_folder(photographs)
    files = [
        file
        for thing, some in folder.classes.items()
        if split_of(thing) == "train" and len(some) > 1
        for file in some
    ]
    weights = load_file(alignment)
    model, processor = unaligned_pocket()
    merge_alignment(model, weights)
    tower: PocketVisionModel = model.model.vision_tower
    seen = mean_features(tower, _photographs(files, config.seed), 3 * len(files))
    drawn = mean_features(tower, _drawings(config.seed), _DRAWINGS + _DRAWINGS // 2)
    fit_gate(tower.photographs, seen, drawn, config)
    fit_projection(tower.photographs, seen.mean(0))
    # in the precision it answers in, and much faster
    model.model.language_model.bfloat16()
    teach_names(model, processor, config, out / "names")
    state = tower.photographs.state_dict()
    fitted = {
        f"model.vision_tower.photographs.{name}": state[name].bfloat16()
        if name == "class_words" or name.startswith("project.")
        else state[name]
        for name in _FITTED
    }
    path = out / "alignment.safetensors"
    with whole(path) as part:
        save_file({**weights, **{n: value.contiguous() for n, value in fitted.items()}}, part)
    return path


@torch.no_grad()
def mean_features(
    tower: PocketVisionModel, pictures: Iterator[Image.Image], count: int
) -> Float[Tensor, "pictures channels"]:
    """Mean features of pictures as the published classifier reads them."""
    found = []
    with tqdm(total=count, desc="looking at pictures", unit="picture") as bar:
        for some in in_batches(pictures):
            cells = tower.backbone.cells(
                pixels(some, tower.config.image_size).to(memory_format=torch.channels_last)
            )
            found.append(tower.photographs.pooled(cells))
            bar.update(len(some))
    return torch.cat(found)


def _photographs(files: list[Path], seed: int) -> Iterator[Image.Image]:
    random = np.random.default_rng((seed, 1))
    for file in files:
        picture = open_image(file)
        yield picture
        yield ImageOps.mirror(picture)
        yield resaved_at_random(picture, random).convert("RGB")


def _drawings(seed: int) -> Iterator[Image.Image]:
    random = np.random.default_rng((seed, 2))
    pictures = list(
        training_pictures(
            variations=1, unnamed=0, pairs=600, triples=300, easy_vqa_pictures=300, seed=seed + 1
        )
    )
    for number, index in enumerate(random.choice(len(pictures), _DRAWINGS, replace=False)):
        picture = pictures[index].open()
        yield picture
        if number % 2:
            yield resaved_at_random(picture, random).convert("RGB")
