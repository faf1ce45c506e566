"""How alike two corrections are, by their routing features."""

from __future__ import annotations

import torch

from liveedit.methods.conflicts import Likeness
from liveedit.methods.liveedit.config import SAME_QUESTION, LiveEditConfig
from liveedit.methods.liveedit.features import EditFeatures

_SURE = 0.8  # cosine of prompt features; on validation corrections


def likeness(one: EditFeatures, other: EditFeatures, config: LiveEditConfig) -> Likeness:
    """Mean cosines of features: of the questions, and of what the pictures show.

    Text-only corrections are compared by their questions alone, and with text-only ones alone;
    those of an editor without a subject filter have no feature of what they are about. Where a
    sentence encoder has a say, it decides unless the features are sure.
    """
    sees = one.sees[:, None]
    together = sees == other.sees
    asked = (one.prompt @ other.prompt.T).masked_fill(~together, -1.0)
    seen = torch.where(one.vision.any(1)[:, None], one.vision @ other.vision.T, 1.0)
    similarity = asked.minimum(seen)
    same = SAME_QUESTION if config.same_question is None else config.same_question
    by_words = sees & together & (asked <= _SURE) if config.sentence_encoder else None
    return Likeness(
        similarity=similarity,
        alike=similarity > torch.where(sees, config.alike, config.alike_text),
        asked=torch.where(
            sees,
            asked > same,
            (asked > config.same_text) & (seen > config.same_subject),
        ),
        by_words=by_words,
    )
