"""The prompt encoder: from what a correction states to a few embeddings before the question."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from liveedit.backbones.base import Backbone
from liveedit.backbones.query import padded
from liveedit.methods.shared.training.sinusoids import sinusoids

_SHARPNESS = 12.0  # at first each token of a prompt is one of the target, in its order


class PromptEncoder(nn.Module):
    """A small transformer over the backbone's frozen input embeddings.

    Args:
        embeddings: Their width.
        width: Of its own states.
        layers: How many.
        heads: Of attention.
        shared: Tokens that are the same for every correction.
        tokens: Those of its own.
    """

    unit: Tensor

    def __init__(
        self, embeddings: int, width: int, layers: int, heads: int, *, shared: int, tokens: int
    ) -> None:
        super().__init__()
        self.register_buffer("unit", torch.ones(()))  # root mean square of an embedding
        self.enter = nn.Linear(embeddings, width)
        self.segments = nn.Embedding(2, width)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.look = nn.Linear(width, width)
        self.queries = nn.Parameter(torch.randn(tokens, width) * 0.02)
        self.sharpness = nn.Parameter(torch.tensor(_SHARPNESS))
        self.copied = nn.Parameter(torch.ones(tokens, 1))
        self.leave = nn.Linear(width, embeddings)
        self.shared = nn.Parameter(torch.randn(shared, embeddings))
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)
        self.width = width

    def forward(
        self,
        embedded: Float[Tensor, "batch length embeddings"],
        target: Bool[Tensor, "batch length"],
        real: Bool[Tensor, "batch length"],
        place: Int[Tensor, "batch length"],
    ) -> Float[Tensor, "batch tokens embeddings"]:
        """Prompts in the scale of input embeddings.

        Args:
            embedded: Input embeddings of the correction's question and target.
            target: Which are the target's.
            real: Which are no padding.
            place: Within question or target.
        """
        where = sinusoids(place, self.width)
        states = self.enter(F.layer_norm(embedded, embedded.shape[-1:]))
        states = states + self.segments(target.long()) + where
        states = self.encoder(states, src_key_padding_mask=~real)
        slots = sinusoids(torch.arange(len(self.queries), device=place.device), self.width)
        near = slots @ where.transpose(1, 2) / (self.width / 2)  # 1 where places are the same
        scores = self.queries @ self.look(states).transpose(1, 2) / math.sqrt(self.width)
        scores = (scores + self.sharpness * near).masked_fill(~target[:, None], -torch.inf)
        weights = scores.softmax(-1)
        own = self.copied * (weights @ embedded) + self.unit * self.leave(weights @ states)
        shared = (self.unit * self.shared).expand(len(own), -1, -1)
        return torch.cat([shared, own], 1)


def prompts_of(
    encoder: PromptEncoder, backbone: Backbone, stated: Sequence[tuple[str, str]]
) -> Float[Tensor, "batch tokens embeddings"]:
    """Prompts of corrections, in float32.

    Args:
        encoder: Makes them.
        backbone: Whose tokens and embeddings these are.
        stated: Question and target of each.
    """
    rows = [
        (backbone.tokenizer.encode(prompt, add_special_tokens=False), backbone.target_ids(target))
        for prompt, target in stated
    ]
    ids, mask = padded([[*prompt, *target] for prompt, target in rows], value=0, side="right")
    target, _ = padded([[0] * len(p) + [1] * len(t) for p, t in rows], value=0, side="right")
    place, _ = padded([[*range(len(p)), *range(len(t))] for p, t in rows], value=0, side="right")
    device = encoder.unit.device
    with torch.no_grad():
        embedded = backbone.model.get_input_embeddings()(ids.to(backbone.device))
    return encoder(
        embedded.float().to(device),
        target.bool().to(device),
        mask.bool().to(device),
        place.to(device),
    )
