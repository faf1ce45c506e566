"""The pictures the alignment is trained on, and their cached tower features."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageEnhance, ImageFilter
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from liveedit.data.emoji_edit.concepts import DRAWINGS, Drawing, all_concepts, other_drawing
from liveedit.data.emoji_edit.scene import Placement, Scene, arrange, render
from liveedit.pocket.alignment.styles import held_out_drawings, restyle, unnamed_drawings
from liveedit.pocket.tower import PocketVisionModel
from liveedit.saving.files import whole

SHARD_SIZE = 1024
_BATCH = 32


@dataclass(frozen=True, kw_only=True)
class TrainingPicture:
    """Either a scene or one of easy-VQA's training pictures."""

    scene: Scene | None = None
    easy_vqa: int | None = None
    seed: int = 0

    def open(self) -> Image.Image:
        """The RGB picture; scenes with their photographic augmentation."""
        if self.scene is not None:
            random = np.random.default_rng(self.seed)
            return augment(render(self.scene, partial(restyle, random=random)), random)
        import easy_vqa

        with Image.open(easy_vqa.get_train_image_paths()[self.easy_vqa]) as picture:
            return picture.convert("RGB")

    def as_json(self) -> str:
        """One line that describes the picture completely."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(line: str) -> TrainingPicture:
        """Read what :meth:`as_json` wrote."""
        fields = json.loads(line)
        if (scene := fields["scene"]) is not None:
            scene["placements"] = tuple(Placement(**one) for one in scene["placements"])
            fields["scene"] = Scene(**scene)
        return TrainingPicture(**fields)


def training_pictures(
    *,
    variations: int,
    unnamed: int,
    pairs: int,
    triples: int,
    easy_vqa_pictures: int,
    seed: int,
) -> Iterator[TrainingPicture]:
    """Draw up the training pictures: every allowed drawing alone, and scenes of two and three.

    Args:
        variations: Single pictures of every (concept, drawing).
        unnamed: Single pictures of every drawing of :func:`~.styles.unnamed_drawings`.
        pairs: Number of scenes with two things.
        triples: Number of scenes with three things.
        easy_vqa_pictures: How many of easy-VQA's training pictures.
        seed: Seed of everything random.
    """
    random = np.random.default_rng(seed)
    held_out = held_out_drawings()
    names = [concept.name for concept in all_concepts()]

    def picture(things: tuple[str, ...]) -> TrainingPicture:
        hand: Drawing = DRAWINGS[random.integers(2)]
        drawings = tuple(
            other_drawing(hand) if held_out.get(thing) == hand else hand for thing in things
        )
        scene = arrange(things, drawings, random)
        return TrainingPicture(scene=scene, seed=int(random.integers(2**31)))

    def alone(things: Iterable[str]) -> Iterator[TrainingPicture]:
        for thing in things:
            for drawing in DRAWINGS:
                if held_out.get(thing) != drawing:
                    scene = arrange((thing,), (drawing,), random)
                    yield TrainingPicture(scene=scene, seed=int(random.integers(2**31)))

    for _ in range(variations):
        yield from alone(names)
    for _ in range(unnamed):
        yield from alone(unnamed_drawings())
    for count, total in ((2, pairs), (3, triples)):
        for _ in range(total):
            yield picture(tuple(str(n) for n in random.choice(names, count, replace=False)))
    for index in range(easy_vqa_pictures):
        yield TrainingPicture(easy_vqa=index)


def augment(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """Vary light, contrast, colour and sharpness, as another camera or artist would."""
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        picture = enhancer(picture).enhance(random.uniform(0.7, 1.3))
    if random.random() < 0.3:
        picture = picture.filter(ImageFilter.GaussianBlur(random.uniform(0.5, 2.0)))
    return picture


def cache_features(tower: PocketVisionModel, pictures: list[TrainingPicture], folder: Path) -> None:
    """Compute the tower's cells for every picture, in shards; a killed run goes on where it was.

    Writes ``pictures.jsonl`` and one ``features-XXXX.safetensors`` of ``SHARD_SIZE`` pictures
    each: tensor ``cells``, float16, (pictures, rows * columns, channels).
    """
    folder.mkdir(parents=True, exist_ok=True)
    listing = "".join(picture.as_json() + "\n" for picture in pictures)
    stamp = hashlib.sha256(listing.encode()).hexdigest()
    if (folder / "stamp").exists() and (folder / "stamp").read_text() != stamp:
        raise FileExistsError(f"{folder} holds features of other pictures; use another folder")
    (folder / "pictures.jsonl").write_text(listing)
    (folder / "stamp").write_text(stamp)
    if len(list(folder.glob("features-*.safetensors"))) * SHARD_SIZE >= len(pictures):
        return
    tower = tower.to(memory_format=torch.channels_last)
    encode = torch.compile(tower.backbone.cells)
    with (
        ThreadPoolExecutor(max_workers=1) as painter,
        tqdm(total=len(pictures), desc="tower features", unit="picture") as bar,
    ):
        for start in range(0, len(pictures), SHARD_SIZE):
            shard = folder / f"features-{start // SHARD_SIZE:04d}.safetensors"
            chunk = pictures[start : start + SHARD_SIZE]
            if not shard.exists():
                opened = painter.map(TrainingPicture.open, chunk)
                cells = [_encode(encode, b, tower.config.image_size) for b in in_batches(opened)]
                with whole(shard) as part:
                    save_file({"cells": torch.cat(cells).half()}, part)
            bar.update(len(chunk))


def load_features(folder: Path) -> tuple[list[TrainingPicture], Float[Tensor, "n cells channels"]]:
    """Read what :func:`cache_features` wrote."""
    lines = (folder / "pictures.jsonl").read_text().splitlines()
    shards = [load_file(path)["cells"] for path in sorted(folder.glob("features-*.safetensors"))]
    return [TrainingPicture.from_json(line) for line in lines], torch.cat(shards)


def noisy(cells: Tensor, amount: float) -> Tensor:
    """Multiplicative noise, the cheapest augmentation of cached features."""
    return cells * (1 + amount * torch.randn_like(cells))


def pixels(pictures: Sequence[Image.Image], size: int) -> Float[Tensor, "n 3 size size"]:
    """Pixels in -1 to 1, as the pocket VLM's image processor gives them."""
    resized = [p.resize((size, size), Image.Resampling.BICUBIC) for p in pictures]
    array = np.stack([np.asarray(picture) for picture in resized])
    return torch.from_numpy(array).permute(0, 3, 1, 2).float() / 127.5 - 1


def in_batches(pictures: Iterator[Image.Image]) -> Iterator[list[Image.Image]]:
    """The pictures as they come, a batch of the tower's at a time."""
    while batch := list(islice(pictures, _BATCH)):
        yield batch


@torch.no_grad()
def _encode(encode: object, pictures: Sequence[Image.Image], size: int) -> Tensor:
    batch = pixels(pictures, size)
    missing = _BATCH - len(batch)  # one shape, so that the encoder is compiled once
    batch = torch.cat([batch, batch[:1].expand(missing, -1, -1, -1)])
    cells = encode(batch.to(memory_format=torch.channels_last))  # type: ignore[operator]
    return cells[: len(pictures)]
