"""Choose the router's margins on validation corrections.

The learned thresholds are where the training losses want them; how much recall to give for how few
wrong fires is a choice, made here once, on data the training never saw.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from liveedit.backbones.base import Backbone
from liveedit.data.cached_states import CachedViews
from liveedit.methods.liveedit.nearest import decide_with, doubts
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.methods.liveedit.representation import Representation
from liveedit.methods.liveedit.routing import Router, RoutingFeatures, Similarities
from liveedit.methods.route import Route
from liveedit.training.routing_losses import FIRES

_BATCH = 64
MARGINS = torch.linspace(-8, 8, 65)
PROMPT_MARGINS = torch.linspace(-3, 3, 25)
PICTURE_MARGINS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, math.inf)
SUBJECT_MARGINS = torch.linspace(-6, 6, 25)
CROWDINGS = torch.linspace(0, 1, 21)
_SIZES = (1, 10, 100)  # edits in force for which margin and crowding are chosen, beside all
# views for which the right edit should fire; for all others none should
RECALLED = ("edit", "rephrase", "redrawn", "met again", "free words")
# views of the correction's own picture, which its pixels are taken to tell, however it was saved
OF_ITS_PICTURE = ("edit", "rephrase", "other question", "met again", "free words")


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was found.

    Args:
        margin, crowding: Added to the sentinel's score: ``margin + crowding * ln n``.
        prompt_margin: Taken off the prompt score.
        picture_margin: What that must exceed, less its margin, for the very picture of an edit to
            pass by its pixels.
        text_margin: Taken off the text router's score; None without text-only corrections.
        subject_margin: What a subject's similarity must exceed.
        fired: By number of edits in force, for every view the share of queries whose own edit fires
            (any edit, for the views that no edit concerns), in [0, 1].
        text_fired: The same for text-only corrections, all in force.
    """

    margin: float
    crowding: float
    prompt_margin: float
    picture_margin: float
    text_margin: float | None
    subject_margin: float | None
    fired: dict[int, dict[str, float]]
    text_fired: dict[str, float]


@torch.no_grad()
def calibrate(
    backbone: Backbone, network: EditorNetwork, views: CachedViews, texts: CachedViews | None = None
) -> Calibration:
    """Set the router's margins to where recall and silence are best together.

    The measure is the mean of recall (over the views that an edit concerns) and silence (over the
    others). The prompt margin, and then the picture's, are chosen with all corrections in force at
    once; margin and crowding as the mean over groups of 1, 10, 100 and all.

    Args:
        backbone: The frozen model.
        network: The editor, whose router is changed.
        views: Validation corrections.
        texts: Text-only ones, if the text router is to be calibrated, too.
    """
    router = network.router
    for buffer in (router.margin, router.crowding, router.prompt_margin):
        buffer.zero_()
    router.picture_margin.fill_(0.0 if router.pixels else math.inf)
    alike = compare(backbone, network, views)
    if router.ask:
        best = (-1.0, 0.0)
        for value in PROMPT_MARGINS.tolist():
            router.prompt_margin.fill_(value)
            curve = fired(router, router.margin, alike, MARGINS, group=len(views))
            best = max(best, (_right(curve, views.names).max().item(), value))
        router.prompt_margin.fill_(best[1])
    if router.pixels:
        best = (-1.0, 0.0)
        for value in PICTURE_MARGINS:
            router.picture_margin.fill_(value)
            curve = fired(router, router.margin, alike, MARGINS, group=len(views))
            best = max(best, (_right(curve, views.names).max().item(), value))
        router.picture_margin.fill_(best[1])
    sizes = [size for size in _SIZES if size < len(views)] + [len(views)]
    curves = {size: fired(router, router.margin, alike, MARGINS, group=size) for size in sizes}
    margin, crowding = _best_line({n: _right(curve, views.names) for n, curve in curves.items()})
    router.margin.fill_(margin)
    router.crowding.fill_(crowding)
    shares = {
        size: fired(router, router.margin, alike, router.margin[None], group=size)[0].tolist()
        for size in sizes
    }
    text_shares = {} if texts is None else _calibrate_text(backbone, network, texts)
    return Calibration(
        margin=margin,
        crowding=crowding,
        prompt_margin=router.prompt_margin.item(),
        picture_margin=router.picture_margin.item(),
        text_margin=None if texts is None else router.text_margin.item(),
        subject_margin=None if texts is None else router.subject_margin.item(),
        fired={size: dict(zip(views.names, some, strict=True)) for size, some in shares.items()},
        text_fired=text_shares,
    )


def _calibrate_text(
    backbone: Backbone, network: EditorNetwork, texts: CachedViews
) -> dict[str, float]:
    router, best = network.router, (-1.0, 0.0, 0.0)
    about = compare(backbone, network, texts)
    for least in SUBJECT_MARGINS.tolist() if router.subject else [0.0]:
        router.subject_margin.fill_(least)
        curve = fired(router, router.text_margin, about, PROMPT_MARGINS, group=len(texts))
        right = _right(curve, texts.names)
        chosen = int(right.argmax())
        best = max(best, (right[chosen].item(), least, PROMPT_MARGINS[chosen].item()))
    router.subject_margin.fill_(best[1])
    router.text_margin.fill_(best[2])
    shares = fired(router, router.text_margin, about, router.text_margin[None], group=len(texts))
    return dict(zip(texts.names, shares[0].tolist(), strict=True))


Compared = dict[str, Similarities]


@torch.no_grad()
def compare(backbone: Backbone, network: EditorNetwork, views: CachedViews) -> Compared:
    """Similarities of every view of all corrections with all corrections.

    Args:
        backbone: The frozen model.
        network: The editor.
        views: The corrections.
    """
    network.eval()
    edits = _features(network.edit_features, backbone, network, views, views.names.index("edit"))
    return {
        name: network.router.similarities(
            _features(network.extractor, backbone, network, views, number), edits
        )
        for number, name in enumerate(views.names)
    }


@torch.no_grad()
def fired(
    router: Router,
    margin: Tensor,
    alike: Compared,
    values: Float[Tensor, " values"],
    *,
    group: int,
) -> Float[Tensor, "values views"]:
    """How often edits fire at each value of one of the router's margins, which is then put back.

    Args:
        router: Its other margins stay as they are.
        margin: The buffer to change.
        alike: See :func:`compare`.
        values: What it is set to in turn.
        group: How many consecutive corrections are in force at a time.

    Returns:
        For every view the share of queries whose own edit fires, or any edit for views that no
        edit concerns.
    """
    before = margin.clone()
    shares = torch.zeros(len(values), len(alike))
    for column, (name, one) in enumerate(alike.items()):
        number = torch.arange(len(one.vision), device=one.vision.device) // group
        together = number[:, None] == number
        for row, value in enumerate(values):
            margin.copy_(value)
            weights = _decided(router, one, together, name in OF_ITS_PICTURE).weights
            hits = weights.diagonal() if name in RECALLED else weights.amax(1)
            shares[row, column] = (hits >= FIRES).float().mean()
    margin.copy_(before)
    return shares


def _decided(
    router: Router,
    alike: Similarities,
    together: Bool[Tensor, "queries edits"],
    of_its_picture: bool,
) -> Route:
    crowd = together.sum(1, keepdim=True)
    route = router.decide(alike, together, crowd)
    if not of_its_picture:
        return route
    passing, missed = doubts(router, alike, route, together)
    own = torch.eye(len(together), dtype=torch.bool, device=together.device) & (passing | missed)
    return decide_with(router, alike, together, crowd, own, missed)


def _best_line(right: dict[int, Float[Tensor, " values"]]) -> tuple[float, float]:
    """Margin and crowding that are best in the mean over numbers of edits.

    Args:
        right: For each number of edits how good each of ``MARGINS`` is.
    """
    best = (-1.0, 0.0, 0.0)
    for crowding in CROWDINGS.tolist():
        for margin in MARGINS.tolist():
            scores = []
            for size, score in right.items():
                nearest = (MARGINS - margin - crowding * math.log(size)).abs().argmin()
                scores.append(score[nearest].item())
            best = max(best, (sum(scores) / len(scores), -crowding, margin))
    return best[2], -best[1]


def _right(
    curve: Float[Tensor, "values views"], names: tuple[str, ...]
) -> Float[Tensor, " values"]:
    wanted = torch.tensor([name in RECALLED for name in names])
    return (curve[:, wanted].mean(1) + 1 - curve[:, ~wanted].mean(1)) / 2


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
