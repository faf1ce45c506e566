"""Of look-alikes the very picture wins: where several experts pass, pixels decide.

Features say what a picture shows; of one thing on four grounds they say nearly the same four times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from liveedit.methods.liveedit.routing import Router, Similarities
from liveedit.methods.route import Route

_LOOKED_AT = 4  # heaviest experts of a query whose pictures are compared with its own

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
        of_picture: Compares pictures; asked only where several experts pass.
    """
    route = router.decide(alike, eligible, crowd)
    weights = torch.where(alike.sees, route.weights, 0.0)
    several = ((weights > 0).sum(1) > 1).nonzero().flatten().tolist()
    nearest = torch.ones_like(route.passes)
    for row in several:
        columns = weights[row].nonzero().flatten()
        order = weights[row, columns].argsort(descending=True, stable=True)
        heaviest = columns[order][:_LOOKED_AT]
        own = torch.tensor(list(of_picture(row, heaviest.tolist())), device=heaviest.device)
        if own.any() and not own.all():
            nearest[row] = False
            nearest[row, heaviest[own]] = True
    return route if nearest.all() else router.decide(alike, eligible & nearest, crowd)
