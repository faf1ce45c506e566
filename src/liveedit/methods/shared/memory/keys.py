"""Keys of queries and edits, and how near they are."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from liveedit.backbones.base import Backbone
from liveedit.backbones.picture_features import encode_pictures
from liveedit.backbones.query import Questions
from liveedit.methods.shared.sentence_encoder import encode_questions
from liveedit.store.tensors import Keys


def keys_of(
    backbone: Backbone,
    questions: Questions,
    vision_centre: Float[Tensor, " width"],
    prompt_centre: Float[Tensor, " sentence"],
) -> Keys:
    """Centred keys of unit length; no picture is a key of zeros."""
    device = backbone.edit_device
    sees = torch.tensor(questions.sees, device=device)
    vision = (encode_pictures(backbone, questions.pictures) - vision_centre).to(device)
    prompt = (encode_questions(questions.prompts) - prompt_centre).to(device)
    return Keys(
        vectors={
            "vision": F.normalize(vision, dim=1) * sees[:, None],
            "prompt": F.normalize(prompt, dim=1),
        },
        sees=sees,
    )


def cosines(
    queries: Keys, edits: Keys
) -> tuple[
    Float[Tensor, "queries edits"], Float[Tensor, "queries edits"], Bool[Tensor, "queries edits"]
]:
    """Of pictures, of questions; and whether both have a picture, or neither has."""
    vision, prompt = (
        queries.vectors[name] @ edits.vectors[name].T for name in ("vision", "prompt")
    )
    return vision, prompt, queries.sees[:, None] == edits.sees
