"""From a query's features to the experts that are added for it: propose, decide, fetch."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from liveedit.methods.liveedit.features import RoutingFeatures, Similarities
from liveedit.methods.liveedit.messages import Lines
from liveedit.methods.liveedit.nearest import decide_nearest
from liveedit.methods.liveedit.residual import RoutedExperts, fetch
from liveedit.methods.liveedit.routing import Router
from liveedit.methods.liveedit.tensors import experts_of, features_of, keys_of
from liveedit.methods.liveedit.wordings import with_wordings
from liveedit.methods.route import Route, TellRoute
from liveedit.methods.shared.known_pictures import KnownPictures
from liveedit.store.edit import Edit
from liveedit.store.pool import Pool


def route_in(router: Router, queries: RoutingFeatures, pool: Pool) -> Route:
    """Scores and weights of every edit of a pool, which may have been narrowed.

    Args:
        router: Decides.
        queries: Input-side features; with inputs, of look-alikes the very picture wins, and words
            are compared where they are at hand.
        pool: See :meth:`liveedit.store.pool.Pool.near`.
    """
    alike = Similarities.join(
        [router.similarities(queries, features_of(part)) for part in pool.keys.parts()]
    )
    crowd = pool.crowd_of(queries.sees)
    inputs = queries.inputs
    if inputs is None:
        return router.decide(alike, pool.eligible, crowd)
    known = KnownPictures(pool.thumbnail)

    def edits_of(columns: Sequence[int]) -> list[Edit]:
        names = [pool.ids[column] for column in columns]
        edits = pool.edits_of(names)
        return [edits[name] for name in names]

    def of_picture(row: int, likely: Sequence[int], others: Sequence[int]) -> Sequence[bool]:
        images = [edit.image for edit in edits_of([*likely, *others])]
        image, count = inputs.identity_of(row), len(likely)
        return known.of(inputs.picture(row), images[:count], image, unlikely=images[count:])

    if inputs.get_question is not None:
        alike = with_wordings(router, alike, pool.eligible, crowd, inputs.question, edits_of)
    return decide_nearest(router, alike, pool.eligible, crowd, of_picture)


def route_messages(
    router: Router, queries: RoutingFeatures, pool: Pool, lines: Lines | None
) -> tuple[Route, Pool]:
    """Route a batch, messages of several lines by those, too.

    Args:
        router: Decides.
        queries: See :func:`route_in`.
        pool: The edits.
        lines: Of the messages that have several.

    Returns:
        Scores, and the part of the pool that their columns stand for.
    """
    if lines is None:
        near = pool.near(keys_of(queries))
        return route_in(router, queries, near), near
    rows = lines.rows(len(queries.sees))
    both = lines.behind(queries)
    near = pool.of_queries(rows).near(keys_of(both))
    route = lines.decide(route_in(router, both, near))
    return route, near.of_queries(rows[: len(queries.sees)])


def choose_experts(
    router: Router,
    queries: RoutingFeatures,
    pool: Pool,
    lines: Lines | None = None,
    tell: TellRoute | None = None,
) -> RoutedExperts | None:
    """What each query is routed to; None if none is routed to anything.

    Args:
        router: Decides.
        queries: Input-side features.
        pool: The edits.
        lines: Of the messages that have several.
        tell: Is given the route once its experts are there.

    Raises:
        DamagedEdit: A store cannot give an expert back as it was written; it leaves that edit out
            of the next pool.
    """
    route, near = route_messages(router, queries, pool, lines)
    experts = fetch_from(route.weights, near)
    if tell is not None:
        tell(route, near)
    return experts


def fetch_from(weights: Float[Tensor, "batch edits"], pool: Pool) -> RoutedExperts | None:
    """The experts with a weight; no other is read from where the pool keeps them.

    Raises:
        DamagedEdit: See :func:`choose_experts`.
    """
    columns = (weights != 0).any(0).nonzero().flatten()
    if not len(columns):
        return None
    return fetch(weights[:, columns], experts_of(pool.take(columns)))
