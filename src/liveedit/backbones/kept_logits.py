"""Logits at the positions that are asked about, such as those that predict a target.

A head is a product with the whole vocabulary: at all positions of a batch it takes a part of the
pass, and gigabytes with large vocabularies. Targets stand at the end of their rows, so it is run
from the first position on that is wanted, where the model's ``forward`` knows ``logits_to_keep``.
"""

from __future__ import annotations

import inspect

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from liveedit.backbones.base import Backbone
from liveedit.backbones.query import Query


def kept_logits(
    backbone: Backbone, query: Query, keep: Bool[Tensor, "batch length"]
) -> Float[Tensor, "kept vocabulary"]:
    """Logits of a whole pass at some positions, row after row, in the model's dtype.

    Args:
        backbone: The model.
        query: A batch.
        keep: Positions whose logits are wanted.
    """
    options = {}
    if "logits_to_keep" in inspect.signature(backbone.model.forward).parameters:
        first = int(keep.any(0).int().argmax())
        options["logits_to_keep"] = keep.shape[1] - first
    logits = backbone.forward(query, use_cache=False, **options).logits
    return logits[keep[:, -logits.shape[1] :].to(logits.device)]


@torch.no_grad()
def forced_tokens(backbone: Backbone, query: Query) -> list[Int[Tensor, " target"]]:
    """The likeliest token in place of each of a target's, behind those before it (teacher forcing).

    Args:
        backbone: The model.
        query: Questions with targets.
    """
    predicts = query.spans.predicts
    tokens = kept_logits(backbone, query, predicts).argmax(-1)
    return list(tokens.split(predicts.sum(1).tolist()))


def says_targets(backbone: Backbone, query: Query) -> list[bool]:
    """Whether greedy decoding would give each target, its end among it; in one pass.

    Args:
        backbone: The model.
        query: Questions with targets.
    """
    forced = forced_tokens(backbone, query)
    target = query.spans.target.to(query.input_ids.device)
    wanted = query.input_ids[target].split(target.sum(1).tolist())
    return [
        torch.equal(said, ids.to(said.device)) for said, ids in zip(forced, wanted, strict=True)
    ]
