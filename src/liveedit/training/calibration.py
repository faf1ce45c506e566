"""Choose the router's margins on validation corrections.

The learned thresholds are where the training losses want them; how much recall to give for how few
wrong fires is a choice, made here once, on data the training never saw: of margins at which at
most so many of the queries that no edit concerns fire one, those with the best recall.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from liveedit.backbones.base import Backbone
from liveedit.data.cached_states import CachedViews
from liveedit.methods.liveedit.features import RoutingFeatures, Similarities
from liveedit.methods.liveedit.nearest import decide_with, doubts
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.methods.liveedit.representation import Representation
from liveedit.methods.liveedit.routing import Router
from liveedit.methods.route import Route
from liveedit.training.routing_losses import FIRES

_BATCH = 64
_PAIRS = 1 << 17  # of a query and an edit that are decided on at a time
MARGINS = torch.linspace(-8, 8, 65)
PROMPT_MARGINS = torch.linspace(-3, 3, 13)
PICTURE_MARGINS = (0.0, 0.5, 1.0, 1.5, 2.0, 1e6)  # the last: never by its pixels
SUBJECT_MARGINS = torch.linspace(-6, 6, 25)
CROWDINGS = torch.linspace(0, 1, 21)
SILENCE, TEXT_SILENCE = (
    0.975,
    0.99,
)  # least share of the queries that should fire no edit, and do not
_SIZES = (1, 10, 100)  # edits in force for which margin and crowding are chosen, beside all
# views for which the right edit should fire; for all others none should
RECALLED = ("edit", "rephrase", "redrawn", "met again", "free words")
# views of the correction's own picture, which its pixels are taken to tell, however it was saved
OF_ITS_PICTURE = ("edit", "rephrase", "other question", "met again", "free words")


# similarities of every view of all corrections with all corrections
Compared = dict[str, Similarities]


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
    """Set the router's margins to where recall is best while enough stays silent.

    Recall is the mean over the views that an edit concerns, silence that over the others. The
    margins of prompt and picture are chosen with all corrections in force at once; margin and
    crowding such that enough stays silent in groups of 1, 10, 100 and with all.

    Args:
        backbone: The frozen model.
        network: The editor, whose router is changed.
        views: Validation corrections.
        texts: Text-only ones, if the text router is to be calibrated, too.
    """
    router = network.router
    alike = compare(backbone, network, views)
    found = choose_margins(router, alike, silence=SILENCE, picture_margins=PICTURE_MARGINS)
    if texts is None:
        return found
    shares = _calibrate_text(backbone, network, texts)
    return replace(
        found,
        text_margin=router.text_margin.item(),
        subject_margin=router.subject_margin.item(),
        text_fired=shares,
    )


@torch.no_grad()
def choose_margins(
    router: Router,
    alike: Compared,
    *,
    silence: float,
    picture_margins: Sequence[float],
) -> Calibration:
    """The same by similarities that are known already, for questions about pictures alone.

    Args:
        router: Is changed.
        alike: See :func:`compare`.
        silence: Least share of the queries that no edit concerns that should fire none.
        picture_margins: Those of the picture to choose from.
    """
    names, count = tuple(alike), len(next(iter(alike.values())).vision)
    for buffer in (router.margin, router.crowding):
        buffer.zero_()

    def coarse() -> Tensor:
        return fired(router, router.margin, alike, MARGINS, group=count)

    _, prompt_margin, picture_margin = max(
        (merit_of(coarse(), names, silence).max().item(), *both)
        for both in _set_in_turn(router, picture_margins)
    )
    router.prompt_margin.fill_(prompt_margin)
    router.picture_margin.fill_(picture_margin)
    sizes = [size for size in _SIZES if size < count] + [count]
    curves = {size: fired(router, router.margin, alike, MARGINS, group=size) for size in sizes}
    margin, crowding = _best_line(curves, names, silence)
    router.margin.fill_(margin)
    router.crowding.fill_(crowding)
    shares = {
        size: fired(router, router.margin, alike, router.margin[None], group=size)[0].tolist()
        for size in sizes
    }
    return Calibration(
        margin=margin,
        crowding=crowding,
        prompt_margin=router.prompt_margin.item(),
        picture_margin=router.picture_margin.item(),
        text_margin=None,
        subject_margin=None,
        fired={size: dict(zip(names, some, strict=True)) for size, some in shares.items()},
        text_fired={},
    )


def _set_in_turn(router: Router, picture_margins: Sequence[float]) -> Iterator[tuple[float, float]]:
    """Sets the router to each pair of margins of prompt and picture that is to be tried."""
    prompt_margins = PROMPT_MARGINS.tolist() if router.ask else [0.0]
    for both in product(prompt_margins, picture_margins if router.pixels else [math.inf]):
        router.prompt_margin.fill_(both[0])
        router.picture_margin.fill_(both[1])
        yield both


def _calibrate_text(
    backbone: Backbone, network: EditorNetwork, texts: CachedViews
) -> dict[str, float]:
    router, best = network.router, (-1.0, 0.0, 0.0)
    about = compare(backbone, network, texts)
    for least in SUBJECT_MARGINS.tolist() if router.subject else [0.0]:
        router.subject_margin.fill_(least)
        curve = fired(router, router.text_margin, about, PROMPT_MARGINS, group=len(texts))
        merits = merit_of(curve, texts.names, TEXT_SILENCE)
        for margin, merit in zip(PROMPT_MARGINS.tolist(), merits.tolist(), strict=True):
            best = max(best, (merit, least, margin))
    router.subject_margin.fill_(best[1])
    router.text_margin.fill_(best[2])
    shares = fired(router, router.text_margin, about, router.text_margin[None], group=len(texts))
    return dict(zip(texts.names, shares[0].tolist(), strict=True))


@torch.no_grad()
def compare(backbone: Backbone, network: EditorNetwork, views: CachedViews) -> Compared:
    """Compare every view of all corrections with all corrections.

    Args:
        backbone: The frozen model.
        network: The editor.
        views: The corrections.
    """
    network.eval()
    edits = features_of_view(
        network.edit_features, backbone, network, views, views.names.index("edit")
    )
    return {
        name: network.router.similarities(
            features_of_view(network.extractor, backbone, network, views, number), edits
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
        margin: The buffer to change: its margin, or that of questions without a picture.
        alike: See :func:`compare`.
        values: What it is set to in turn.
        group: How many consecutive corrections are in force at a time.

    Returns:
        For every view the share of queries whose own edit fires, or any edit for views that no
        edit concerns.
    """
    before, of_text = margin.clone(), margin is router.text_margin
    values = values.clone()  # the margin's own value may be among them
    margin.zero_()
    columns = []
    for name, one in alike.items():
        number = torch.arange(len(one.vision), device=one.vision.device) // group
        together = number[:, None] == number
        found = []
        for some in values.to(number.device).split(max(1, _PAIRS // one.vision.numel())):
            raised = _raised(one, some, of_text)
            every = together.repeat(len(some), 1)
            weights = _decided(router, raised, every, name in OF_ITS_PICTURE).weights
            by_value = weights.unflatten(0, (len(some), -1))
            hits = by_value.diagonal(0, 1, 2) if name in RECALLED else by_value.amax(2)
            found.append((hits >= FIRES).float().mean(1))
        columns.append(torch.cat(found).cpu())
    margin.copy_(before)
    return torch.stack(columns, 1)


def _raised(alike: Similarities, values: Float[Tensor, " values"], of_text: bool) -> Similarities:
    """All queries with a margin raised by the first value, then by the next; each a row."""
    rows = len(alike.vision)

    def again(part: Tensor) -> Tensor:
        return part.repeat(len(values), 1)

    raised = values.repeat_interleave(rows)[:, None]
    prompt, sentinel, sees = again(alike.prompt), again(alike.sentinel), again(alike.sees)
    if of_text:
        prompt = torch.where(sees, prompt, prompt - raised)
    else:
        sentinel = sentinel + raised
    return Similarities(
        vision=again(alike.vision),
        sentinel=sentinel,
        prompt=prompt,
        pictured=again(alike.pictured),
        sees=sees,
        alike=again(alike.alike),
        gain=None if alike.gain is None else again(alike.gain),
    )


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
    passing, near, _ = doubts(router, alike, route, together)
    queries, edits = together.shape
    own = torch.eye(edits, dtype=torch.bool, device=together.device).repeat(queries // edits, 1)
    own = own & (passing | near)
    return decide_with(router, alike, together, crowd, own, near)


def _best_line(
    curves: dict[int, Float[Tensor, "values views"]], names: tuple[str, ...], silence: float
) -> tuple[float, float]:
    """Margin and crowding with the best mean recall at which enough stays silent at every number.

    Args:
        curves: For each number of edits what fires at each of ``MARGINS``.
        names: Of the views.
        silence: See :func:`choose_margins`.
    """
    best = (-1.0, 0.0, 0.0)
    for crowding in CROWDINGS.tolist():
        for margin in MARGINS.tolist():
            shares = [
                curve[(MARGINS - margin - crowding * math.log(size)).abs().argmin()]
                for size, curve in curves.items()
            ]
            merits = merit_of(torch.stack(shares), names, silence)
            merit = (merits.mean() if merits.min() >= 0 else merits.min()).item()
            best = max(best, (merit, -crowding, margin))
    return best[2], -best[1]


def merit_of(
    shares: Float[Tensor, "*values views"], names: tuple[str, ...], least: float
) -> Float[Tensor, "*values"]:
    """Recall where enough stays silent; elsewhere less than any recall, by how much is missing.

    Args:
        shares: What fires, by views.
        names: Of the views.
        least: Share of the queries that no edit concerns that should fire none.
    """
    wanted = torch.tensor([name in RECALLED for name in names])
    recall, silence = shares[..., wanted].mean(-1), 1 - shares[..., ~wanted].mean(-1)
    return torch.where(silence >= least, recall, silence - 1)


def features_of_view(
    extract: Callable[[Representation], RoutingFeatures],
    backbone: Backbone,
    network: EditorNetwork,
    views: CachedViews,
    view: int,
) -> RoutingFeatures:
    """Features of one view of all corrections."""
    parts = []
    for start in range(0, len(views), _BATCH):
        cases = torch.arange(start, min(start + _BATCH, len(views)))
        batch = views.batch(cases, torch.full_like(cases, view))
        parts.append(extract(batch.representation(backbone, network.scale)))
    return RoutingFeatures.join(parts)
