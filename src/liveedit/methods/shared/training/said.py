"""What the unedited model says, for methods that learn to leave it alone."""

from __future__ import annotations

import json
from collections.abc import Sequence

import torch
from torch import Tensor
from tqdm import tqdm

from liveedit.backbones.base import Backbone
from liveedit.methods.shared.training.examples import Asked
from liveedit.methods.shared.training.kept_steps import KeptSteps

_TOGETHER = 8  # questions that it is asked at a time


def said_by_model(backbone: Backbone, asked: Sequence[Asked], *, tokens: int) -> list[str]:
    """Its answers, decoded greedily.

    Args:
        backbone: The model.
        asked: Pictures and questions.
        tokens: Longest answer.
    """
    said: list[str] = []
    for start in tqdm(range(0, len(asked), _TOGETHER), desc="asking", unit="batch", leave=False):
        pictures, questions = zip(*asked[start : start + _TOGETHER], strict=True)
        answers = backbone.generate(backbone.query(pictures, questions), max_new_tokens=tokens)
        said += [answer.strip() for answer in answers]
    return said


def said_once(
    backbone: Backbone, asked: Sequence[Asked], *, tokens: int, kept: KeptSteps
) -> list[str]:
    """Its answers, for a training that need not ask again when it was stopped.

    Args:
        backbone: The model.
        asked: Pictures and questions.
        tokens: Longest answer.
        kept: Where the state of the training is.
    """

    def compute() -> dict[str, Tensor]:
        written = json.dumps(said_by_model(backbone, asked, tokens=tokens)).encode()
        return {"json": torch.tensor(list(written), dtype=torch.uint8)}

    said: list[str] = json.loads(bytes(kept.once("said", compute)["json"].tolist()))
    return said
