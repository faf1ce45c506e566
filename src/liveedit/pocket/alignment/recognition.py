"""The codebook, fitted in closed form from what is seen of every thing in the training pictures.

After probabilistic linear discriminant analysis (Ioffe, ECCV 2006) with one level more. A feature
of a drawing is the sum of what the thing is (variance b over things), of whose hand drew it (h) and
of ground, size and angle (w). A projection makes the three nearly diagonal. A hand that is known is
the Gaussian of its pictures, N(mean, w). A hand that is not known is what the other one leads us to
expect: if y is the mean of the known hand, the thing is N(y b / (b + h), b h / (b + h)), and its
drawing by another hand varies by h + w around that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from tqdm import tqdm

from liveedit.data.emoji_edit.concepts import DRAWINGS
from liveedit.pocket.alignment.conversation import shown_shapes
from liveedit.pocket.alignment.pictures import TrainingPicture
from liveedit.pocket.codebook import ENTRIES
from liveedit.pocket.tower import PocketVisionModel

HANDS = 2
FITTED = ("project.weight", "project.bias", "means", "variances")  # of the tower's slots
_RIDGE = 0.03  # relative to the mean variance
_BATCH = 256


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """A projection, and for each thing a Gaussian for either hand.

    Args:
        weight: Projection.
        bias: Added after it.
        means: Mean of each hand's drawings of each thing.
        variances: Their variance.
    """

    weight: Float[Tensor, "embedding channels"]
    bias: Float[Tensor, " embedding"]
    means: Float[Tensor, "hands things embedding"]
    variances: Float[Tensor, "hands things embedding"]


def fit_codebook(
    tower: PocketVisionModel,
    pictures: Sequence[TrainingPicture],
    cells: Float[Tensor, "n cells narrow"],
) -> None:
    """Set the slots' projection, means and variances from all things in the pictures.

    Args:
        tower: With trained head and slots; changed in place.
        pictures: What is seen.
        cells: Their feature maps before the head.
    """
    points, names, hands = _things(tower, pictures, cells)
    things = {name: index for index, name in enumerate(dict.fromkeys((*ENTRIES[:-1], *names)))}
    found = analyse(
        points,
        torch.tensor([things[name] for name in names]),
        torch.tensor(hands),
        embedding=tower.config.embedding,
    )
    slots, entries = tower.slots, len(ENTRIES) - 1
    with torch.no_grad():
        slots.project.weight.copy_(found.weight)
        slots.project.bias.copy_(found.bias)
        slots.means.copy_(found.means[:, :entries])
        slots.variances.copy_(found.variances[:, :entries])


def analyse(
    points: Float[Tensor, "n channels"],
    things: Int[Tensor, " n"],
    hands: Int[Tensor, " n"],
    *,
    embedding: int,
    ridge: float = _RIDGE,
) -> Analysis:
    """Fit projection and Gaussians; every (thing, hand) counts the same.

    Args:
        points: Features of drawings.
        things: What each shows, from 0 on; every thing occurs.
        hands: Who drew it, 0 or 1.
        embedding: Dimensions to keep.
        ridge: Added to the variance within things, relative to its mean.
    """
    points = points.double()
    centres, drawn, within = _centre(points, things, hands)
    both = drawn.all(0)
    known = centres[drawn]
    origin = known.mean(0)
    apart = centres[0, both] - centres[1, both]
    scatter = within.T @ within / len(within) + apart.T @ apart / (2 * len(apart))
    scatter += ridge * scatter.diagonal().mean() * torch.eye(len(scatter), dtype=torch.double)
    values, vectors = torch.linalg.eigh(scatter)
    whiten = vectors / values.sqrt()
    _, _, directions = torch.linalg.svd(
        (centres[:, both].mean(0) - origin) @ whiten, full_matrices=False
    )
    projection = whiten @ directions[:embedding].T

    seen = (centres - origin) @ projection
    first, second = seen[:, both]
    of_place = (within @ projection).square().mean(0)
    of_hand = ((first - second).square().mean(0) / 2).clamp(min=1e-3)
    of_thing = (first * second).mean(0).clamp(min=1e-3)
    shrunk = of_thing / (of_thing + of_hand)
    unknown = seen.flip(0) * shrunk, shrunk * of_hand + of_hand + of_place
    return Analysis(
        weight=projection.T.float(),
        bias=-(origin @ projection).float(),
        means=torch.where(drawn[..., None], seen, unknown[0]).float(),
        variances=torch.where(drawn[..., None], of_place, unknown[1]).float(),
    )


def _centre(
    points: Float[Tensor, "n channels"], things: Int[Tensor, " n"], hands: Int[Tensor, " n"]
) -> tuple[
    Float[Tensor, "hands things channels"],
    Bool[Tensor, "hands things"],
    Float[Tensor, "n channels"],
]:
    """Mean of every hand's drawings of every thing, whether there are any, and what is left."""
    count = int(things.max()) + 1
    group = hands * count + things
    sums = torch.zeros(HANDS * count, points.shape[1], dtype=points.dtype)
    sums.index_add_(0, group, points)
    sizes = torch.bincount(group, minlength=HANDS * count)
    means = sums / sizes.clamp(min=1)[:, None]
    return means.unflatten(0, (HANDS, count)), (sizes > 0).view(HANDS, count), points - means[group]


@torch.no_grad()
def _things(
    tower: PocketVisionModel,
    pictures: Sequence[TrainingPicture],
    cells: Float[Tensor, "n cells narrow"],
) -> tuple[Float[Tensor, "things channels"], list[str], list[int]]:
    """Feature, name and hand of everything whose name is known."""
    points, names, hands = [], [], []
    for start in tqdm(range(0, len(pictures), _BATCH), desc="codebook", unit="batch"):
        pooled = tower.look(cells[start : start + _BATCH].float()).pooled[:, 1:]
        for row, picture in enumerate(pictures[start : start + _BATCH]):
            for name, hand, thing in _shown(picture):
                points.append(pooled[row, thing])
                names.append(name)
                hands.append(hand)
    return torch.stack(points), names, hands


def _shown(picture: TrainingPicture) -> list[tuple[str, int, int]]:
    """Name, hand and slot; easy-VQA's shapes count as either hand, for no other will draw them."""
    if picture.scene is not None:
        return [
            (one.concept, DRAWINGS.index(one.drawing), slot)
            for slot, one in enumerate(picture.scene.placements)
        ]
    assert picture.easy_vqa is not None
    shapes = shown_shapes(picture.easy_vqa)
    return [(name, hand, 0) for name in shapes for hand in range(HANDS) if len(shapes) == 1]
