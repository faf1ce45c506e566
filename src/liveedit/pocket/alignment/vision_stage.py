"""First stage: without the language model, teach the tower's slots what they see.

Four losses, all cross-entropies: each cell's slot; the name of each thing; the colour of the
ground; and, among the single things of a batch, which is the same thing in the other artist's hand
(InfoNCE, van den Oord et al., arXiv 1807.03748). The last one takes in every drawing both artists
made, so that a thing known from one hand is recognised in the other. Names and hands are told by a
projection and keys that this stage alone uses; the tower's own codebook is then fitted in closed
form (``recognition.py``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from liveedit.config import Config
from liveedit.data.emoji_edit.concepts import Drawing
from liveedit.data.emoji_edit.scene import SCENE_SIZE, Placement
from liveedit.pocket.alignment.conversation import shown_shapes
from liveedit.pocket.alignment.pictures import TrainingPicture, noisy
from liveedit.pocket.codebook import COLOURS, ENTRIES, NOTHING
from liveedit.pocket.slots import THINGS, Seen
from liveedit.pocket.tower import PocketVisionModel
from liveedit.training.loop import LoopConfig, train

TAUGHT = ("backbone.head.", "slots.")  # the parts of the tower that learn
_LATER = ("slots.project.", "slots.means", "slots.variances", "slots.open.")
_IGNORE = -100


class VisionStageConfig(Config):
    """Settings of the first stage; the defaults made the shipped weights.

    Args:
        loop: Steps, rate, checkpoints.
        pairs_of_hands: Things in a batch that are shown twice, alone, by both artists if they may.
        scenes: Scenes of two or three things in a batch.
        easy_vqa: Pictures of easy-VQA in a batch.
        noise: Relative noise on the cached cells.
        seed: Seed of everything random.
    """

    loop: LoopConfig = LoopConfig(steps=450, learning_rate=2e-3, weight_decay=0.05)
    pairs_of_hands: int = 64
    scenes: int = 48
    easy_vqa: int = 24
    noise: float = 0.1
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What a batch of pictures shows.

    Args:
        cover: Share of each cell that belongs to each slot; zero where nobody knows.
        entries: Whether an entry of the codebook is right for a thing.
        ground: Index of the ground's colour, or ``-100``.
    """

    cover: Float[Tensor, "batch cells slots"]
    entries: Bool[Tensor, "batch things entries"]
    ground: Int[Tensor, " batch"]


def teach_sight(
    tower: PocketVisionModel,
    pictures: Sequence[TrainingPicture],
    cells: Float[Tensor, "n cells narrow"],
    config: VisionStageConfig,
    folder: Path,
) -> None:
    """Train the tower's head and slots, in place; the convolutions before stay as they are.

    Args:
        tower: The tower, float32.
        pictures: What to look at.
        cells: Their feature maps before the head.
        config: Settings.
        folder: Where log and checkpoints go.
    """
    alone, scenes, shapes = _by_kind(pictures)
    torch.manual_seed(config.seed)
    teacher = _Teacher(tower.config.channels)
    trained = {
        **{f"teacher.{name}": value for name, value in teacher.named_parameters()},
        **{
            name: value
            for name, value in tower.named_parameters()
            if name.startswith(TAUGHT) and not name.startswith(_LATER)
        },
    }

    def losses(step: int) -> dict[str, Tensor]:
        random = np.random.default_rng((config.seed, step))
        first, second = _both_hands(alone, config.pairs_of_hands, random)
        chosen = [*first, *second, *random.choice(scenes, config.scenes)]
        chosen += list(random.choice(shapes, config.easy_vqa))
        with torch.autocast("cpu", torch.bfloat16):
            seen = tower.look(noisy(cells[chosen].float(), config.noise))
            embeddings, names = teacher(seen.pooled[:, 1:])
        known = truth([pictures[i] for i in chosen])
        return losses_of(seen, embeddings, names, known, pairs=len(first))

    weights = {"cells": 1.0, "names": 1.0, "ground": 0.3, "hands": 0.5}
    tower.train()
    train(losses, weights, trained, config.loop, folder, seed=config.seed)
    tower.eval()


class _Teacher(nn.Module):
    """Unit vectors of things, and their similarity to a key for each entry of the codebook."""

    def __init__(self, channels: int, embedding: int = 256) -> None:
        super().__init__()
        self.embed = nn.Linear(channels, embedding)
        self.keys = nn.Parameter(F.normalize(torch.randn(len(ENTRIES), embedding), dim=-1))
        self.log_scale = nn.Parameter(torch.tensor(3.0))

    def forward(
        self, pooled: Float[Tensor, "batch things channels"]
    ) -> tuple[Float[Tensor, "batch things embedding"], Float[Tensor, "batch things entries"]]:
        embeddings = F.normalize(self.embed(pooled), dim=-1)
        return embeddings, self.log_scale.exp() * embeddings @ F.normalize(self.keys, dim=-1).T


def losses_of(
    seen: Seen,
    embeddings: Float[Tensor, "batch things embedding"],
    names: Float[Tensor, "batch things entries"],
    truth: Truth,
    *,
    pairs: int,
) -> dict[str, Tensor]:
    """The four losses; the first ``2 * pairs`` pictures are single things, twice in one order.

    Args:
        seen: What the slots hold.
        embeddings: Unit vectors of the things.
        names: Logits over the codebook's entries.
        truth: What the pictures show.
        pairs: Number of things shown twice.
    """
    assigned = seen.assignment.float().log_softmax(-1)
    known = truth.cover.sum((1, 2)) > 0
    named = names.float().log_softmax(-1).masked_fill(~truth.entries, float("-inf"))
    hands = embeddings[: 2 * pairs, 0].float()
    alike = 20 * hands[:pairs] @ hands[pairs:].T
    same = torch.arange(pairs)
    return {
        "cells": -(truth.cover * assigned).sum(-1)[known].mean(),
        "names": -named.logsumexp(-1).mean(),
        "ground": F.cross_entropy(seen.ground.float(), truth.ground, ignore_index=_IGNORE),
        "hands": (F.cross_entropy(alike, same) + F.cross_entropy(alike.T, same)) / 2,
    }


def truth(pictures: Sequence[TrainingPicture], cells: int = 64) -> Truth:
    """What pictures show, as the losses need it."""
    cover = torch.zeros(len(pictures), cells, 1 + THINGS)
    entries = torch.zeros(len(pictures), THINGS, len(ENTRIES), dtype=torch.bool)
    ground = torch.full((len(pictures),), _IGNORE)
    for row, picture in enumerate(pictures):
        shown: list[Set[str]] = []
        if picture.scene is not None:
            shown = [{name} for name in picture.scene.concepts]
            ground[row] = COLOURS.index(picture.scene.ground)
            for slot, placement in enumerate(picture.scene.placements, 1):
                cover[row, :, slot] = covered_cells(placement, cells)
            cover[row, :, 0] = (1 - cover[row].sum(-1)).clamp(min=0)
        elif picture.easy_vqa is not None:
            shown = [shown_shapes(picture.easy_vqa)]
        for thing in range(THINGS):
            right = shown[thing] if thing < len(shown) else {NOTHING}
            indices = [_INDEX[name] for name in right if name in _INDEX]
            entries[row, thing, indices or slice(None)] = True  # an unnamed thing teaches no name
    return Truth(cover=cover, entries=entries, ground=ground)


def covered_cells(placement: Placement, cells: int) -> Float[Tensor, " cells"]:
    """Share of each cell's square that the box of a placement covers."""
    side = round(cells**0.5)
    edges = np.arange(side + 1) * SCENE_SIZE / side

    def overlap(centre: float) -> np.ndarray:
        low, high = centre - placement.size / 2, centre + placement.size / 2
        return np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0, None)

    cover = np.outer(overlap(placement.y), overlap(placement.x)).ravel()
    return torch.tensor(cover / (SCENE_SIZE / side) ** 2, dtype=torch.float32)


_INDEX = {name: index for index, name in enumerate(ENTRIES)}
_Alone = dict[str, dict[Drawing, list[int]]]


def _by_kind(pictures: Sequence[TrainingPicture]) -> tuple[_Alone, list[int], list[int]]:
    """Single things by name and hand, scenes of several, and easy-VQA's pictures."""
    alone: _Alone = defaultdict(lambda: defaultdict(list))
    scenes, shapes = [], []
    for index, picture in enumerate(pictures):
        if picture.scene is None:
            shapes.append(index)
        elif len(picture.scene.placements) > 1:
            scenes.append(index)
        else:
            (only,) = picture.scene.placements
            alone[only.concept][only.drawing].append(index)
    return alone, scenes, shapes


def _both_hands(
    alone: _Alone, count: int, random: np.random.Generator
) -> tuple[list[int], list[int]]:
    """Two pictures each of different things; by both artists, unless one is held out."""
    first: list[int] = []
    second: list[int] = []
    for name in random.choice(sorted(alone), count, replace=False):
        hands = sorted(alone[name])
        for side, hand in zip((first, second), (hands[0], hands[-1]), strict=True):
            side.append(int(random.choice(alone[name][hand])))
    return first, second
