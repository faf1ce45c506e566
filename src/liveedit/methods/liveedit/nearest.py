"""The very picture decides: of look-alikes it wins, and saved anew it passes all the same.

Features say what a picture shows: of one thing on four grounds nearly the same four times, of a
picture that comes back with bars at its sides something else. Pixels are compared only where there
is a doubt: where several experts pass, or one that asks the same falls short by a little. Those of
many, and of those that fall short by more, are compared at a glance first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from liveedit.methods.liveedit.features import Similarities
from liveedit.methods.liveedit.routing import Router
from liveedit.methods.route import Route

_LOOKED_AT = 4  # heaviest experts of a query whose pictures are compared with its own
NEAR = 6.0  # by how much what is seen may fall short: about as far as bars take a picture

_GLANCED_AT = 64  # heaviest of the others

# which of some columns have a row's own picture, of likely ones and others
OfPicture = Callable[[int, Sequence[int], Sequence[int]], Sequence[bool]]


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
    passing, near, far = doubts(router, alike, route, eligible)
    score = route.vision + route.prompt
    own = torch.zeros_like(near)
    for row in ((near | far).any(1) | (passing.sum(1) > 1)).nonzero().flatten().tolist():
        likely = _heaviest(score[row], (passing | near)[row], _LOOKED_AT + _GLANCED_AT)
        others = likely[_LOOKED_AT:] + _heaviest(score[row], far[row], _GLANCED_AT)
        likely, others = likely[:_LOOKED_AT], others[:_GLANCED_AT]
        found = of_picture(row, likely, others)
        own[row, likely + others] = torch.tensor(list(found), device=own.device)
    missed = near | far
    return decide_with(router, alike, eligible, crowd, own, missed) if own.any() else route


def _heaviest(
    score: Float[Tensor, " experts"], of: Bool[Tensor, " experts"], most: int
) -> list[int]:
    columns = of.nonzero().flatten()
    found: list[int] = columns[score[columns].argsort(descending=True)[:most]].tolist()
    return found


def doubts(
    router: Router, alike: Similarities, route: Route, eligible: Bool[Tensor, "#batch experts"]
) -> tuple[
    Bool[Tensor, "batch experts"], Bool[Tensor, "batch experts"], Bool[Tensor, "batch experts"]
]:
    """Experts with a picture that pass, and those that would if it were the query's.

    Returns:
        Those that pass; those that are asked the same and fall short by a little; by more.
    """
    asked = (
        alike.sees & eligible & ~route.passes & (route.prompt > router.picture_margin.clamp(min=0))
    )
    near = route.vision > route.threshold - NEAR
    return route.passes & alike.sees, asked & near, asked & ~near


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
