"""Choose the router's margins on validation corrections.

The learned thresholds are where the training losses want them; how much recall to give for how few
wrong fires is a choice, made here once, on data the training never saw.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from liveedit.backbones.base import Backbone
from liveedit.network import EditorNetwork
from liveedit.representation import Representation
from liveedit.routing import Router, RoutingFeatures, Similarities
from liveedit.training.routing import FIRES
from liveedit.training.states import CachedViews

_BATCH = 64
MARGINS = torch.linspace(-8, 8, 65)
PROMPT_MARGINS = torch.linspace(-3, 3, 25)
# views for which the right edit should fire; for all others none should
RECALLED = ("edit", "rephrase", "redrawn")


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was found.

    Args:
        margin: Added to the sentinel's score.
        prompt_margin: Taken off the prompt score.
        text_margin: Taken off the text router's score; None without text-only corrections.
        fired: For every view the share of queries whose own edit fires (any edit, for the views
            that no edit concerns), in [0, 1].
        text_fired: The same for text-only corrections.
    """

    margin: float
    prompt_margin: float
    text_margin: float | None
    fired: dict[str, float]
    text_fired: dict[str, float]


@torch.no_grad()
def calibrate(
    backbone: Backbone, network: EditorNetwork, views: CachedViews, texts: CachedViews | None = None
) -> Calibration:
    """Set the router's margins to where recall and silence are best together.

    The measure is the mean over views of the share of queries that are routed as they should be,
    with all corrections in force at once.

    Args:
        backbone: The frozen model.
        network: The editor, whose router is changed.
        views: Validation corrections.
        texts: Text-only ones, if the text router is to be calibrated, too.
    """
    router = network.router
    router.margin.zero_()
    router.prompt_margin.zero_()
    alike = compare(backbone, network, views, group=len(views))
    best = (-1.0, 0.0, 0.0)
    for prompt_margin in PROMPT_MARGINS.tolist() if router.ask else [0.0]:
        router.prompt_margin.fill_(prompt_margin)
        curve = fired(router, router.margin, alike, MARGINS)
        right = _right(curve, views.names)
        best = max(best, (right.max().item(), MARGINS[right.argmax()].item(), prompt_margin))
    router.margin.fill_(best[1])
    router.prompt_margin.fill_(best[2])
    shares = fired(router, router.margin, alike, router.margin[None])[0]
    text_margin, text_shares = None, {}
    if texts is not None:
        about = compare(backbone, network, texts, group=len(texts))
        curve = fired(router, router.text_margin, about, PROMPT_MARGINS)
        chosen = int(_right(curve, texts.names).argmax())
        router.text_margin.copy_(PROMPT_MARGINS[chosen])
        text_margin = router.text_margin.item()
        text_shares = dict(zip(texts.names, curve[chosen].tolist(), strict=True))
    return Calibration(
        margin=best[1],
        prompt_margin=best[2],
        text_margin=text_margin,
        fired=dict(zip(views.names, shares.tolist(), strict=True)),
        text_fired=text_shares,
    )


# of every view, of every group of corrections that are in force together
Compared = dict[str, list[Similarities]]


@torch.no_grad()
def compare(
    backbone: Backbone, network: EditorNetwork, views: CachedViews, *, group: int
) -> Compared:
    """Similarities of every view of some corrections with the corrections.

    Args:
        backbone: The frozen model.
        network: The editor.
        views: The corrections.
        group: How many are in force at a time.
    """
    network.eval()
    starts = range(0, len(views), group)
    edits = _features(network.edit_features, backbone, network, views, views.names.index("edit"))
    return {
        name: [
            network.router.similarities(
                queries.rows(slice(start, start + group)), edits.rows(slice(start, start + group))
            )
            for start in starts
        ]
        for number, name in enumerate(views.names)
        for queries in [_features(network.extractor, backbone, network, views, number)]
    }


@torch.no_grad()
def fired(
    router: Router, margin: Tensor, alike: Compared, values: Float[Tensor, " values"]
) -> Float[Tensor, "values views"]:
    """How often edits fire at each value of one of the router's margins, which is then put back.

    Returns:
        For every view the share of queries whose own edit fires, or any edit for views that no
        edit concerns.
    """
    before = margin.clone()
    shares = torch.zeros(len(values), len(alike))
    for column, (name, groups) in enumerate(alike.items()):
        total = sum(len(one.vision) for one in groups)
        for one in groups:
            eligible = torch.ones_like(one.sees[:1])
            for row, value in enumerate(values):
                margin.copy_(value)
                weights = router.decide(one, eligible).weights
                hits = weights.diagonal() if name in RECALLED else weights.amax(1)
                shares[row, column] += (hits >= FIRES).sum() / total
    margin.copy_(before)
    return shares


def _right(
    curve: Float[Tensor, "values views"], names: tuple[str, ...]
) -> Float[Tensor, " values"]:
    wanted = torch.tensor([name in RECALLED for name in names])
    return torch.where(wanted, curve, 1 - curve).mean(1)


def _features(
    extract: Callable[[Representation], RoutingFeatures],
    backbone: Backbone,
    network: EditorNetwork,
    views: CachedViews,
    view: int,
) -> RoutingFeatures:
    parts = []
    for start in range(0, len(views), _BATCH):
        cases = torch.arange(start, min(start + _BATCH, len(views)))
        batch = views.batch(cases, torch.full_like(cases, view))
        parts.append(extract(batch.representation(backbone, network.scale)))
    return RoutingFeatures.join(parts)
