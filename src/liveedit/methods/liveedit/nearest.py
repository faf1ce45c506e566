"""The very picture decides: of look-alikes it wins, and saved anew it passes all the same.

Features say what a picture shows: of one thing on four grounds nearly the same four times, of a
picture that comes back with bars at its sides something else. Pixels are compared only where there
is a doubt: where several experts pass, or one that asks the same falls short by a little.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from liveedit.methods.liveedit.features import Similarities
from liveedit.methods.liveedit.routing import Router
from liveedit.methods.route import Route

_LOOKED_AT = 4  # heaviest experts of a query whose pictures are compared with its own
_NEAR = 6.0  # by how much what is seen may fall short: about as far as bars take a picture

# which of some columns have a row's own picture
OfPicture = Callable[[int, Sequence[int]], Sequence[bool]]


def decide_nearest(
    router: Router,
    alike: Similarities,
    eligible: Bool[Tensor, "#batch experts"],
    crowd: Int[Tensor, "batch 1"],
    of_picture: OfPicture,
) -> Route:
    """As the router decides; but an expert of the query's own picture displaces those of others.

    Args:
        router: Filters and weighs.
        alike: Similarities.
        eligible: Experts that may be chosen at all.
        crowd: How many might have been chosen.
        of_picture: Compares pictures; asked only where there is a doubt.
    """
    route = router.decide(alike, eligible, crowd)
    passing, missed = doubts(router, alike, route, eligible)
    looked_at = passing | missed
    score = (route.vision + route.prompt).masked_fill(~looked_at, -torch.inf)
    own = torch.zeros_like(missed)
    for row in (missed.any(1) | (passing.sum(1) > 1)).nonzero().flatten().tolist():
        count = min(int(looked_at[row].sum()), _LOOKED_AT)
        heaviest = score[row].topk(count).indices
        found = of_picture(row, heaviest.tolist())
        own[row, heaviest] = torch.tensor(list(found), device=own.device)
    return decide_with(router, alike, eligible, crowd, own, missed) if own.any() else route


def doubts(
    router: Router, alike: Similarities, route: Route, eligible: Bool[Tensor, "#batch experts"]
) -> tuple[Bool[Tensor, "batch experts"], Bool[Tensor, "batch experts"]]:
    """Experts with a picture that pass, and those that would if it were the query's."""
    missed = (
        (alike.sees & eligible & ~route.passes)
        & (route.prompt > router.picture_margin.clamp(min=0))
        & (route.vision > route.threshold - _NEAR)
    )
    return route.passes & alike.sees, missed


def decide_with(
    router: Router,
    alike: Similarities,
    eligible: Bool[Tensor, "#batch experts"],
    crowd: Int[Tensor, "batch 1"],
    own: Bool[Tensor, "batch experts"],
    missed: Bool[Tensor, "batch experts"],
) -> Route:
    """The route where it is known which experts are of the query's own picture."""
    return router.decide(alike, eligible & (own | ~own.any(1, keepdim=True)), crowd, own & missed)
