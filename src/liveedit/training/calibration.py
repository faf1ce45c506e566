"""Choose the hard filter's margin on validation corrections.

The learned sentinel puts the threshold where the training loss wants it; how much recall to give
for how few wrong fires is a choice, made here once, on data the training never saw.
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


MARGINS = torch.linspace(-8, 8, 65)


@torch.no_grad()
def calibrate(backbone: Backbone, network: EditorNetwork, views: CachedViews) -> Calibration:
    """Set the router's margin to where recall and silence are best together.

    The measure is the mean of five shares: own edit fires for the correction, the rephrased
    question and the redrawn picture; no edit fires for another picture; none for another question.
    """
    curve = routing_curve(backbone, network, views, group=_GROUP)
    kept = torch.cat([curve[:, :OTHER_IMAGE], 1 - curve[:, OTHER_IMAGE:]], 1)
    best = int(kept.mean(1).argmax())
    network.router.margin.fill_(MARGINS[best])
    fired = dict(zip(views.names, curve[best].tolist(), strict=True))
    return Calibration(margin=MARGINS[best].item(), fired=fired)


@torch.no_grad()
def routing_curve(
    backbone: Backbone, network: EditorNetwork, views: CachedViews, *, group: int
) -> Float[Tensor, "margins views"]:
    """How often edits fire at each of ``MARGINS``; the router's own margin stays as it is.

    Args:
        backbone: The frozen model.
        network: The editor.
        views: Corrections; the views before ``other image`` should be routed to their own edit,
            the others to none.
        group: Edits in force at a time.

    Returns:
        For every view the share of queries whose own edit fires, or any edit for views that no
        edit concerns.
    """
    network.eval()
    router = network.router
    margin = router.margin.clone()
    edits = _features(network.edit_features, backbone, network, views, 0)
    fired = torch.zeros(len(MARGINS), len(views.names))
    for view in range(len(views.names)):
        queries = _features(network.extractor, backbone, network, views, view)
        for start in range(0, len(views), group):
            some = slice(start, min(start + group, len(views)))
            asked, rows = queries.rows(some), torch.arange(some.stop - some.start)
            alike = router.similarities(asked, edits.vision[some], edits.prompt[some])
            eligible = torch.ones(1, len(rows), dtype=torch.bool)
            for index, value in enumerate(MARGINS):
                router.margin.fill_(value)
                weights = router.decide(alike, asked.sees, eligible).weights
                hits = weights[rows, rows] if view < OTHER_IMAGE else weights.amax(1)
                fired[index, view] += (hits >= FIRES).sum()
    router.margin.copy_(margin)
    return fired / len(views)


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
