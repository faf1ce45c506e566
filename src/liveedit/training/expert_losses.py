"""Losses that teach the generator, through the frozen layers above the edit layer.

Reliability and generality are cross-entropy on the target with the edit's own expert added, as
strongly as a router would; locality is the divergence from the unedited model on the strict cases
with the expert added all the same: what the router lets through by mistake should do little harm.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from liveedit.backbones.base import Backbone
from liveedit.backbones.spans import Spans
from liveedit.data.cached_states import CachedViews, ViewBatch
from liveedit.data.views import (
    EDIT,
    MET_AGAIN,
    OTHER_IMAGE,
    OTHER_QUESTION,
    REDRAWN,
    REPHRASE,
    TEXT_OTHER,
    TEXT_REPHRASE,
)
from liveedit.distributed import mean, share
from liveedit.methods.liveedit.experts import Experts
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.methods.liveedit.representation import StateScale
from liveedit.methods.liveedit.residual import RoutedExperts

_LONGEST = 96  # positions; in a longer view, of which all would be as long, none is taught
_WEAKEST = 0.6  # smallest soft weight an own expert is trained with


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Which views teach what; one of each is drawn for every correction.

    Args:
        general: Views that want the target.
        strict: Views that want the unedited model's answer.
    """

    general: tuple[int, ...]
    strict: tuple[int, ...]


PICTURED = Sides(general=(REPHRASE, REDRAWN, MET_AGAIN), strict=(OTHER_IMAGE, OTHER_QUESTION))
TEXT_ONLY = Sides(general=(TEXT_REPHRASE,), strict=(TEXT_OTHER,))


def expert_losses(
    backbone: Backbone,
    network: EditorNetwork,
    views: CachedViews,
    cases: Int[Tensor, " batch"],
    sides: Sides = PICTURED,
) -> dict[str, Tensor]:
    """Unweighted losses of a batch of corrections, of which each process computes its part.

    Args:
        backbone: The frozen model.
        network: The editor.
        views: All corrections.
        cases: Those of the batch.
        sides: Which views there are; those of text-only corrections are others.

    Returns:
        ``reliability``: of the correction itself. ``generality``: of the rephrased question or the
        redrawn picture. ``locality``: divergence on another picture or another question.
        ``rel``: share of target tokens right in the correction itself, for the log. ``loc``: share
        of tokens in the last that stay as they were, although the expert is added by force.
    """
    general, strict = (
        torch.tensor(some)[torch.randint(0, len(some), (len(cases),))]
        for some in (sides.general, sides.strict)
    )
    general = torch.where(views.lengths(cases, general) > _LONGEST, sides.general[0], general)
    strength = _WEAKEST + (1 - _WEAKEST) * torch.rand(3, len(cases))
    kinds = torch.stack([torch.full((len(cases),), EDIT), general, strict])
    mine = share(torch.arange(len(cases)))
    batch = len(mine)
    seen = views.batch(cases[mine].repeat(3), kinds[:, mine].flatten())
    whole = seen.representation(backbone, network.scale, lexical=True)
    made = network.generator(whole.rows(slice(0, batch)))
    routed = RoutedExperts(
        experts=Experts(u=made.u.repeat(3, 1, 1), v=made.v.repeat(3, 1, 1)),
        weights=strength[:, mine].flatten()[:, None].to(made.u.device),
    )
    return losses_with(backbone, network.scale, seen, whole.spans, routed)


def losses_with(
    backbone: Backbone, scale: StateScale, seen: ViewBatch, spans: Spans, routed: RoutedExperts
) -> dict[str, Tensor]:
    """What experts do to a batch: as many corrections, then generality, then locality samples."""
    predicts = spans.predicts
    rows = len(predicts)
    away = slice(rows * 2 // 3, None)
    with attention_of_short_rows(seen.states.device):
        logits = backbone.finish(
            routed.add_to(seen.states, scale), seen.attention_mask, predicts, seen.per_token
        ).float()
        with torch.no_grad():
            before = backbone.finish(
                seen.states[away],
                seen.attention_mask[away],
                predicts[away],
                {name: value[away] for name, value in seen.per_token.items()},
            ).float()
    row = torch.arange(rows, device=predicts.device)
    owner = row[:, None].expand_as(predicts)[predicts] // (rows // 3)
    words = seen.input_ids[spans.target]
    surprise = F.cross_entropy(logits, words, reduction="none")
    divergence = F.kl_div(
        logits[owner == 2].log_softmax(1), before.log_softmax(1), log_target=True, reduction="none"
    ).sum(1)
    right, kept = logits.argmax(1) == words, logits[owner == 2].argmax(1) == before.argmax(1)
    return {
        "reliability": _mean_of_tokens(surprise[owner == 0]),
        "generality": _mean_of_tokens(surprise[owner == 1]),
        "locality": _mean_of_tokens(divergence),
        "rel": _mean_of_tokens(right[owner == 0].float()),
        "loc": _mean_of_tokens(kept.float()),
    }


def attention_of_short_rows(device: torch.device) -> AbstractContextManager[None]:
    """On CPUs plain attention: for rows of some tens of tokens flash attention is slower."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


def _mean_of_tokens(of_tokens: Tensor) -> Tensor:
    """This process's part of the mean over all tokens, such that the parts average to it."""
    here = torch.tensor(float(len(of_tokens)), device=of_tokens.device)
    return of_tokens.sum() / mean(here)
