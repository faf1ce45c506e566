"""Choose the hard filter's margin on validation corrections.

The learned sentinel puts the threshold where the training loss wants it; how much recall to give
for how few wrong fires is a choice, made here once, on data the training never saw.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from liveedit.backbones.base import Backbone
from liveedit.network import EditorNetwork
from liveedit.routing import RoutingFeatures
from liveedit.training.routing import FIRES
from liveedit.training.states import CachedViews
from liveedit.training.views import OTHER_IMAGE

_GROUP = 100  # edits in force while a margin is tried
_BATCH = 64


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was found.

    Args:
        margin: Added to the sentinel's score.
        fired: For every view the share of queries whose own edit fires (any edit, for the views
            that no edit concerns), in [0, 1].
    """

    margin: float
    fired: dict[str, float]


@torch.no_grad()
def calibrate(backbone: Backbone, network: EditorNetwork, views: CachedViews) -> Calibration:
    """Set the router's margin to where recall and silence are best together.

    The measure is the mean of five shares: own edit fires for the correction, the rephrased
    question and the redrawn picture; no edit fires for another picture; none for another question.
    """
    network.eval()
    features = [_features(backbone, network, views, view) for view in range(len(views.names))]
    margins = torch.linspace(-8, 8, 65)
    outcomes = []
    for margin in margins:
        network.router.margin.fill_(margin)
        outcomes.append(_fired(network, features))
    scores = torch.stack(
        [torch.cat([fired[:OTHER_IMAGE], 1 - fired[OTHER_IMAGE:]]).mean() for fired in outcomes]
    )
    best = int(scores.argmax())
    network.router.margin.fill_(margins[best])
    fired = dict(zip(views.names, outcomes[best].tolist(), strict=True))
    return Calibration(margin=margins[best].item(), fired=fired)


def _features(
    backbone: Backbone, network: EditorNetwork, views: CachedViews, view: int
) -> RoutingFeatures:
    parts = []
    for start in range(0, len(views), _BATCH):
        cases = torch.arange(start, min(start + _BATCH, len(views)))
        batch = views.batch(cases, torch.full_like(cases, view))
        parts.append(network.extractor(batch.representation(backbone, network.scale)))
    return RoutingFeatures.join(parts)


def _fired(network: EditorNetwork, features: list[RoutingFeatures]) -> Float[Tensor, " views"]:
    count = len(features[0].sees)
    shares = torch.zeros(len(features))
    for start in range(0, count, _GROUP):
        group = slice(start, min(start + _GROUP, count))
        rows = torch.arange(group.stop - group.start)
        edits = features[0]
        for view, queries in enumerate(features):
            weights = network.router.route(
                queries.rows(group),
                edits.vision[group],
                edits.prompt[group],
                torch.ones(len(rows), dtype=torch.bool),
            ).weights
            hits = weights[rows, rows] if view < OTHER_IMAGE else weights.amax(1)
            shares[view] += (hits >= FIRES).sum()
    return shares / count
