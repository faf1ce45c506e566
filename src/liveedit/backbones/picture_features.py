"""One vector for a picture: what the unedited model's own tower and projector make of it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from liveedit.backbones.base import Backbone
from liveedit.correction.images import Pictures, as_sequence


@torch.no_grad()
def encode_pictures(backbone: Backbone, rows: Sequence[Pictures]) -> Float[Tensor, "batch width"]:
    """Mean image token of each row's pictures, float32, on the CPU; zero without a picture."""
    listed = [as_sequence(row) for row in rows]
    means = torch.zeros(len(listed), backbone.width)
    for at, pictures in enumerate(backbone.pictures(listed)):
        if pictures:
            tokens = torch.cat([picture.features for picture in pictures])
            means[at] = tokens.float().mean(0).cpu()
    return means
