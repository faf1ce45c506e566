"""States of questions about the same few pictures: what stands before the question is read once.

Where attention only looks back, the states of a picture's tokens do not depend on the question
behind it. Of a large model and a picture of hundreds of tokens that is nearly all of the work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache

from liveedit.backbones.base import Backbone
from liveedit.backbones.query import Query
from liveedit.correction.images import Pictures


@torch.no_grad()
def states_by_picture(
    backbone: Backbone, pictures: Sequence[Pictures], questions: Sequence[str]
) -> tuple[Query, Float[Tensor, "batch length width"]]:
    """Questions, padded on the right, and what leaves the edit layer of the unedited model.

    Args:
        backbone: The frozen model.
        pictures: Those of each question.
        questions: What is asked.
    """
    query = backbone.query(pictures, questions, padding_side="right")
    shared = _shared(query) if backbone.looks_back else 0
    if not shared:
        return query, backbone.states(query)
    names = [id(features) for features in query.features]  # equal pictures are encoded once
    different = list(dict.fromkeys(names))
    first = torch.tensor([names.index(name) for name in different])
    which = torch.tensor([different.index(name) for name in names])
    cache = DynamicCache(config=backbone.model.config.get_text_config(decoder=True))
    options = {"past_key_values": cache, "use_cache": True}
    before = backbone.states(_beginning(query, first, shared), **options)
    cache.batch_select_indices(which.to(before.device))
    after = backbone.states(_end(query, shared), **options)
    return query, torch.cat([before[which.to(before.device)], after], 1)


def _shared(query: Query) -> int:
    """Tokens that all rows begin with, their pictures among them; 0 if a row goes another way."""
    batch = len(query.input_ids)
    if len(query.features) != batch or len({id(one) for one in query.features}) == batch:
        return 0
    same = (query.input_ids == query.input_ids[:1]).all(0) & query.attention_mask.bool().all(0)
    positions = query.position_ids
    same &= (positions == positions[..., :1, :]).flatten(0, -2).all(0)
    shared = int(same.long().cumprod(0).sum())
    shared = min(shared, int(query.attention_mask.sum(1).min()) - 1)
    return 0 if query.spans.vision[:, shared:].any() else shared


def _beginning(query: Query, rows: Int[Tensor, " some"], shared: int) -> Query:
    own = rows.to(query.input_ids.device)
    return replace(
        query,
        input_ids=query.input_ids[own, :shared],
        attention_mask=query.attention_mask[own, :shared],
        position_ids=query.position_ids[..., own, :shared],
        features=[query.features[row] for row in rows.tolist()],
        inputs={
            name: value[own, :shared] if _is_of_tokens(value, query) else value[own]
            for name, value in query.inputs.items()
        },
    )


def _end(query: Query, shared: int) -> Query:
    """What follows, with the mask of all; its pictures have been seen."""
    return replace(
        query,
        input_ids=query.input_ids[:, shared:],
        position_ids=query.position_ids[..., shared:],
        features=[],
        inputs={
            name: value[:, shared:]
            for name, value in query.inputs.items()
            if _is_of_tokens(value, query)
        },
    )


def _is_of_tokens(value: Tensor, query: Query) -> bool:
    return value.shape[:2] == query.input_ids.shape
