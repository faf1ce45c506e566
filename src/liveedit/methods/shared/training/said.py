"""What the unedited model says, for methods that learn to leave it alone."""

from __future__ import annotations

from collections.abc import Sequence

from tqdm import tqdm

from liveedit.backbones.base import Backbone
from liveedit.methods.shared.training.examples import Asked

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
