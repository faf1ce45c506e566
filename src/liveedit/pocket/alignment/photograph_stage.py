"""Last stage: photographs, named by the tower's own classifier. The language model stays as it is.

Three things are fitted. A linear gate tells photographs from drawings; it alone has seen
photographs. A projection keeps the directions that the classifier tells classes apart by, in closed
form. The words of each class are learned as inputs of the frozen language model that make it say
the class's name (as in prompt tuning, Lester et al., arXiv 2104.08691): it was taught to copy the
names of drawings, and stumbles over many of ImageNet's.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from liveedit.config import Config
from liveedit.data.emoji_edit.families import FAMILY_BY_NAME
from liveedit.data.emoji_edit.questions import training_words
from liveedit.pocket.alignment.conversation import Turn, tokenise
from liveedit.pocket.alignment.language_stage import told
from liveedit.pocket.photographs import Photographs, imagenet_classes
from liveedit.training.loop import LoopConfig, train

_STEPS = 200  # of the gate's fit, far more than it takes


class PhotographStageConfig(Config):
    """Settings of the stage.

    Args:
        loop: Steps, rate, checkpoints of learning the words.
        classes: Classes in a batch.
        clearest: The least probability of the class that is to be named.
        others: How many other classes share the rest at most, of those most like it.
        noise: Length of what is added to a class's direction, which has length 1.
        ridge: Weight of the gate's squared norm.
        caution: How far on the side of photographs a picture must be to be taken for one, a logit.
        seed: Seed of everything random.
    """

    loop: LoopConfig = LoopConfig(steps=180, learning_rate=3e-3, weight_decay=0.0)
    classes: int = 32
    clearest: float = 0.5
    others: int = 3
    noise: float = 0.7
    ridge: float = 3e-4
    caution: float = 1.0
    seed: int = 0


def fit_gate(
    photographs: Photographs,
    of_photographs: Float[Tensor, "n channels"],
    of_drawings: Float[Tensor, "m channels"],
    config: PhotographStageConfig,
) -> None:
    """Tell photographs from drawings by logistic regression, with a margin for drawings.

    Args:
        photographs: Its gate is set.
        of_photographs: Mean features of photographs.
        of_drawings: Mean features of drawings.
        config: Settings.
    """
    gate, threshold = torch.zeros(of_photographs.shape[1]), torch.zeros(())
    fitted = [gate.requires_grad_(True), threshold.requires_grad_(True)]
    seen = torch.cat([of_photographs, of_drawings])
    truth = torch.cat([torch.ones(len(of_photographs)), torch.zeros(len(of_drawings))])
    optimiser = torch.optim.LBFGS(
        fitted, max_iter=_STEPS, history_size=20, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        wrong = F.binary_cross_entropy_with_logits(seen @ gate - threshold, truth)
        total = wrong + config.ridge * (gate**2).sum()
        total.backward()
        return total

    optimiser.step(loss)
    with torch.no_grad():
        photographs.gate.copy_(gate)
        photographs.threshold.copy_(threshold + config.caution)


@torch.no_grad()
def fit_projection(photographs: Photographs, mean: Float[Tensor, " channels"]) -> None:
    """Project features, less their mean, on what the classifier tells classes apart by."""
    weight = photographs.classify.weight
    directions = torch.linalg.svd(weight - weight.mean(0), full_matrices=False).Vh
    directions = directions[: photographs.project.outputs]
    photographs.project.weight.copy_(directions)
    photographs.project.bias.copy_(-directions @ mean)


def teach_names(
    model: LlavaForConditionalGeneration,
    processor: LlavaProcessor,
    config: PhotographStageConfig,
    folder: Path,
) -> None:
    """Learn the words of each class, for which no photograph is needed.

    Args:
        model: The aligned model; the words of its tower's classes are changed.
        processor: Its processor.
        config: Settings.
        folder: Of this run alone; a killed run goes on from it.
    """
    model.requires_grad_(False)
    tower = model.model.vision_tower
    photographs: Photographs = tower.photographs
    names = [some[0] for some in imagenet_classes().values()]
    alike = neighbours(photographs.classify.weight)
    seen = F.normalize(photographs.project.weight @ photographs.classify.weight.T, dim=0).T
    words = nn.Parameter(photographs.class_words.clone())
    family = FAMILY_BY_NAME["name"]

    def losses(step: int) -> dict[str, Tensor]:
        random = np.random.default_rng((config.seed, step))
        chosen = torch.from_numpy(random.choice(len(names), config.classes, replace=False))
        likely = probabilities(chosen, alike, config, random)
        about = tokenise(
            [
                (Turn(question=training_words(family, random), answer=names[index]),)
                for index in chosen.tolist()
            ],
            tokenizer=processor.tokenizer,
            image_tokens=model.config.image_seq_length,
            image_token_id=model.config.image_token_id,
        )
        noise = F.normalize(torch.randn(len(chosen), seen.shape[1]), dim=-1)
        tokens = tower.slots.tokens_of_one(
            torch.randn(len(chosen), tower.config.colours) * 3,
            seen[chosen] + config.noise * noise,
            torch.einsum("bc,cwd->bwd", likely, words),
        )
        logits, truth = told(model, about, tokens)
        return {
            "answer": F.cross_entropy(logits, truth),
            "wrong": (logits.argmax(-1) != truth).float().mean(),
        }

    train(losses, {"answer": 1.0}, {"words": words}, config.loop, folder, seed=config.seed)
    photographs.class_words.copy_(words.detach())


def neighbours(weight: Float[Tensor, "classes channels"]) -> Tensor:
    """The classes most like each, by the classifier's weights, the nearest first."""
    unit = F.normalize(weight - weight.mean(0), dim=-1)
    return (unit @ unit.T).fill_diagonal_(-1).topk(min(10, len(unit) - 1)).indices


def probabilities(
    chosen: Tensor, alike: Tensor, config: PhotographStageConfig, random: np.random.Generator
) -> Float[Tensor, "batch classes"]:
    """Probabilities as of a photograph of each chosen class, half of them certain."""
    found = torch.zeros(len(chosen), len(alike))
    for row, index in enumerate(chosen.tolist()):
        top = 1.0 if random.random() < 0.5 else random.uniform(config.clearest, 1)
        others = random.choice(alike[index].numpy(), random.integers(1, config.others + 1), False)
        found[row, torch.from_numpy(others)] = (1 - top) * torch.from_numpy(
            random.dirichlet(np.ones(len(others)))
        ).float()
        found[row, index] = top
    return found
