"""Calibration: centres of the keys, and thresholds, from validation corrections."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from liveedit.backbones.base import Backbone
from liveedit.backbones.picture_features import encode_pictures
from liveedit.backbones.query import Questions
from liveedit.methods.shared.memory.calibrated import Calibrated
from liveedit.methods.shared.memory.keys import cosines, keys_of
from liveedit.methods.shared.memory.thresholds import Compared, best_thresholds
from liveedit.methods.shared.sentence_encoder import encode_questions
from liveedit.methods.shared.training.examples import Example


def calibrate(backbone: Backbone, examples: Sequence[Example]) -> Calibrated:
    """Centres of the corrections' keys, and thresholds with all of them in force.

    Raises:
        ValueError: No example has a picture.
    """
    pictured = [one for one in examples if one.correction.image is not None]
    texts = [one for one in examples if one.correction.image is None]
    if not pictured:
        raise ValueError("give validation corrections with pictures as examples")
    vision_centre = encode_pictures(backbone, [one.correction.image for one in pictured]).mean(0)
    prompt_centre = encode_questions([one.correction.prompt for one in examples]).mean(0)

    def thresholds(some: Sequence[Example]) -> tuple[float, float, float]:
        asked = [(one.correction.image, one.correction.prompt) for one in some]
        queries, own = list(asked), list(range(len(some)))
        for at, one in enumerate(some):
            queries += [*one.concerned, *one.unconcerned]
            own += [at] * len(one.concerned) + [-1] * len(one.unconcerned)
        keys, edits = (
            keys_of(
                backbone,
                Questions(pictures=[p for p, _ in rows], prompts=[q for _, q in rows]),
                vision_centre,
                prompt_centre,
            )
            for rows in (queries, asked)
        )
        vision, prompt, alike = cosines(keys, edits)
        compared = Compared(
            vision=torch.where(alike, vision, -1.0), prompt=prompt, own=torch.tensor(own).to(prompt)
        )
        return best_thresholds(compared)

    vision, prompt, _ = thresholds(pictured)
    text = thresholds(texts)[1] if texts else prompt
    return Calibrated(
        vision_centre=vision_centre,
        prompt_centre=prompt_centre,
        vision=vision,
        prompt=prompt,
        text=text,
    )
