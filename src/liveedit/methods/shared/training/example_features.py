"""Examples as numbers that a scope can be learned from: pictures and questions, edit by edit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from tqdm import tqdm

from liveedit.backbones.base import Backbone
from liveedit.backbones.picture_features import encode_pictures
from liveedit.methods.shared.sentence_encoder import encode_questions
from liveedit.methods.shared.training.examples import Asked, Example
from liveedit.methods.shared.training.kept_steps import KeptSteps

EDIT, CONCERNED, UNCONCERNED = range(3)
_TOGETHER = 64


@dataclass(frozen=True, kw_only=True)
class ExampleFeatures:
    """Questions of some examples.

    Args:
        vision: Mean vision feature of the picture; zero without one.
        prompt: Embedding of the question by a sentence encoder.
        sees: Which have a picture.
        owner: The example each is of.
        role: :data:`EDIT`, the correction's own question, :data:`CONCERNED`, or
            :data:`UNCONCERNED`.
    """

    vision: Float[Tensor, "questions width"]
    prompt: Float[Tensor, "questions sentence"]
    sees: Bool[Tensor, " questions"]
    owner: Int[Tensor, " questions"]
    role: Int[Tensor, " questions"]

    def to(self, device: torch.device) -> ExampleFeatures:
        """The same on another device."""
        return ExampleFeatures(**{name: one.to(device) for name, one in vars(self).items()})

    def rows(self, which: Bool[Tensor, " questions"]) -> ExampleFeatures:
        """Some questions."""
        return ExampleFeatures(
            vision=self.vision[which],
            prompt=self.prompt[which],
            sees=self.sees[which],
            owner=self.owner[which],
            role=self.role[which],
        )

    def of(self, examples: Int[Tensor, " some"]) -> ExampleFeatures:
        """All questions of some examples."""
        return self.rows(torch.isin(self.owner, examples))


def example_features(
    backbone: Backbone, examples: Sequence[Example], kept: KeptSteps
) -> ExampleFeatures:
    """Look at all pictures and questions once; float32, on the CPU.

    Args:
        backbone: The model.
        examples: Corrections, and the questions around them.
        kept: Where the state of the training is, and what was seen.
    """
    return ExampleFeatures(**kept.once("features", lambda: vars(_seen(backbone, examples))))


def _seen(backbone: Backbone, examples: Sequence[Example]) -> ExampleFeatures:
    asked: list[Asked] = []
    owner, role = [], []
    for number, one in enumerate(examples):
        image = one.correction.image
        assert image is None or not isinstance(image, Sequence)
        own: Sequence[Asked] = [(image, one.correction.prompt)]
        for kind, some in ((EDIT, own), (CONCERNED, one.concerned), (UNCONCERNED, one.unconcerned)):
            asked += some
            owner += [number] * len(some)
            role += [kind] * len(some)
    vision, prompt = [], []
    for start in tqdm(range(0, len(asked), _TOGETHER), desc="looking", unit="batch"):
        pictures, questions = zip(*asked[start : start + _TOGETHER], strict=True)
        vision.append(encode_pictures(backbone, pictures))
        prompt.append(encode_questions(questions))
    return ExampleFeatures(
        vision=torch.cat(vision),
        prompt=torch.cat(prompt),
        sees=torch.tensor([picture is not None for picture, _ in asked]),
        owner=torch.tensor(owner),
        role=torch.tensor(role),
    )
