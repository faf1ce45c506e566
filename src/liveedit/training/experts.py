"""Losses that teach the generator, through the frozen layers above the edit layer.

Reliability and generality are cross-entropy on the target with the edit's own expert added, as
strongly as a router would; locality is the divergence from the unedited model on the strict cases
with the expert added all the same: what the router lets through by mistake should do little harm.
"""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional as F

from liveedit.backbones.base import Backbone
from liveedit.expert import Experts
from liveedit.network import EditorNetwork
from liveedit.residual import RoutedExperts
from liveedit.training.views import (
    EDIT,
    OTHER_IMAGE,
    OTHER_QUESTION,
    REDRAWN,
    REPHRASE,
    VIEWS,
    CachedViews,
)

_WEAKEST = 0.6  # smallest soft weight an own expert is trained with


def expert_losses(
    backbone: Backbone, network: EditorNetwork, views: CachedViews, cases: Int[Tensor, " batch"]
) -> dict[str, Tensor]:
    """Unweighted losses of a batch of corrections.

    Returns:
        ``reliability``: of the correction itself. ``generality``: of the rephrased question or the
        redrawn picture. ``locality``: divergence on another picture or another question.
        ``accuracy``: share of target tokens right in the first two, for the log.
    """
    batch = len(cases)
    coin = torch.randint(0, 2, (2, batch))
    general = torch.where(coin[0] == 0, REPHRASE, REDRAWN)
    strict = torch.where(coin[1] == 0, OTHER_IMAGE, OTHER_QUESTION)
    kinds = torch.cat([torch.full((batch,), EDIT), general, strict])
    seen = views.batch(cases.repeat(3) * len(VIEWS) + kinds)
    whole = seen.representation(backbone, network.scale)
    made = network.generator(whole.rows(slice(0, batch)))
    routed = RoutedExperts(
        experts=Experts(u=made.u.repeat(3, 1, 1), v=made.v.repeat(3, 1, 1)),
        weights=_WEAKEST + (1 - _WEAKEST) * torch.rand(3 * batch, 1),
    )
    predicts = whole.spans.predicts
    logits = backbone.finish(
        routed.add_to(seen.states, network.scale), seen.attention_mask, predicts
    ).float()
    with torch.no_grad():
        away = slice(2 * batch, None)
        before = backbone.finish(
            seen.states[away], seen.attention_mask[away], predicts[away]
        ).float()
    owner = torch.arange(3 * batch)[:, None].expand_as(predicts)[predicts]
    words = seen.input_ids[whole.spans.target]
    surprise = F.cross_entropy(logits, words, reduction="none")
    right = (logits.argmax(1) == words).float()
    return {
        "reliability": surprise[owner < batch].mean(),
        "generality": surprise[(owner >= batch) & (owner < 2 * batch)].mean(),
        "locality": F.kl_div(
            logits[owner >= 2 * batch].log_softmax(1),
            before.log_softmax(1),
            log_target=True,
            reduction="batchmean",
        ),
        "accuracy": right[owner < 2 * batch].mean().detach(),
    }
