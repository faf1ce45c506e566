"""First stage: without the language model, fit image tokens to the embeddings of names.

The mean of the tokens that a thing covers is pulled to the mean input embedding of its own name,
against all other names (cosine, cross-entropy). Minutes instead of hours, and the second stage
starts from tokens the language model already reads.
"""

from __future__ import annotations

import logging
import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerBase

from liveedit.pocket.alignment.pictures import TrainingPicture
from liveedit.scenes.concepts import all_concepts
from liveedit.scenes.scene import SCENE_SIZE, Placement

logger = logging.getLogger(__name__)
_TEMPERATURE = 0.05


def fit_to_names(
    model: LlavaForConditionalGeneration,
    tokenizer: PreTrainedTokenizerBase,
    pictures: list[TrainingPicture],
    cells: Float[Tensor, "n cells narrow"],
    *,
    steps: int,
    batch: int,
    seed: int,
) -> None:
    """Train the tower's head and the projector, in place.

    Args:
        cells: The tower's feature maps before its head, one row for a picture.
    """
    tower, projector = model.model.vision_tower, model.model.multi_modal_projector
    embeddings = model.get_input_embeddings().weight.detach().float()
    names = name_embeddings(tokenizer, embeddings)
    order = {concept.name: index for index, concept in enumerate(all_concepts())}
    spread = embeddings.std()
    scenes = [index for index, picture in enumerate(pictures) if picture.scene is not None]
    optimiser = torch.optim.AdamW(
        [
            {"params": tower.head.parameters(), "lr": 5e-4},
            {"params": projector.parameters(), "lr": 2e-3},
        ],
        weight_decay=0.01,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, [5e-4, 2e-3], total_steps=steps, pct_start=0.1
    )
    random = np.random.default_rng(seed)
    with tqdm(range(steps), desc="fit to names", unit="step") as bar:
        for _ in bar:
            chosen = random.choice(scenes, batch, replace=False)
            tokens = image_tokens(model, noisy(cells[chosen].float(), 0.1))
            owners, labels = [], []
            cover = torch.zeros(0, tokens.shape[1])
            for row, index in enumerate(chosen):
                for placement in pictures[index].scene.placements:
                    owners.append(row)
                    labels.append(order[placement.concept])
                    cover = torch.cat([cover, covered_tokens(placement, tokens.shape[1])[None]])
            things = (cover[:, :, None] * tokens[owners]).sum(1) / cover.sum(1, keepdim=True)
            scores = F.normalize(things, dim=-1) @ F.normalize(names - names.mean(0), dim=-1).T
            target = torch.tensor(labels)
            scale = (tokens.std(-1) / spread).log().square().mean()
            loss = F.cross_entropy(scores / _TEMPERATURE, target) + 0.1 * scale
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            right = (scores.argmax(-1) == target).float().mean().item()
            bar.set_postfix(loss=f"{loss.item():.3f}", right=f"{right:.2f}")
    logger.info("nearest name right in the last batch: %.3f", right)


def image_tokens(
    model: LlavaForConditionalGeneration, cells: Float[Tensor, "batch cells narrow"]
) -> Float[Tensor, "batch tokens width"]:
    """From cached feature maps to what the language model reads."""
    side = math.isqrt(cells.shape[1])
    grid = cells.transpose(1, 2).unflatten(2, (side, side))
    return model.model.multi_modal_projector(model.model.vision_tower.tokens(grid))


def noisy(cells: Tensor, amount: float) -> Tensor:
    """Multiplicative noise, the cheapest augmentation of cached features."""
    return cells * (1 + amount * torch.randn_like(cells))


def name_embeddings(
    tokenizer: PreTrainedTokenizerBase, embeddings: Float[Tensor, "vocabulary width"]
) -> Float[Tensor, "concepts width"]:
    """Mean input embedding of every concept's name."""
    return torch.stack(
        [embeddings[tokenizer.encode(concept.name)].mean(0) for concept in all_concepts()]
    )


def covered_tokens(placement: Placement, tokens: int) -> Float[Tensor, " tokens"]:
    """Share of each token's square that the box of a placement covers."""
    side = math.isqrt(tokens)
    edges = np.arange(side + 1) * SCENE_SIZE / side

    def overlap(centre: float) -> np.ndarray:
        low, high = centre - placement.size / 2, centre + placement.size / 2
        return np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0, None)

    cover = np.outer(overlap(placement.y), overlap(placement.x)).ravel()
    return torch.tensor(cover / cover.max(), dtype=torch.float32)
