"""Why edits do or do not concern a question."""

from __future__ import annotations

from liveedit.backbones.query import Questions
from liveedit.methods.base import Method
from liveedit.methods.route import Explanation
from liveedit.store.base import Store
from liveedit.store.pool import Pool


def explanations(
    method: Method, question: Questions, pool: Pool, store: Store, *, most: int | None
) -> list[Explanation]:
    """What the method thinks of each edit in force for one question, largest weight first.

    Args:
        method: Scores the edits.
        question: A single one.
        pool: The edits.
        store: Tells what they are.
        most: Only so many, the first.
    """
    route, pool = method.route(question, pool)
    weights, vision = route.weights[0].tolist(), route.vision[0].tolist()
    rows = pool.eligible[0].nonzero().flatten().tolist()
    rows = sorted(rows, key=lambda row: (weights[row], vision[row]), reverse=True)[:most]
    # one may have been revoked since the revision that is looked at
    edits = store.some([pool.ids[row] for row in rows], revoked=True)
    return [
        Explanation(
            edit=edits[pool.ids[row]],
            vision=vision[row],
            threshold=route.threshold[0, 0].item(),
            passes=bool(route.passes[0, row]),
            prompt=route.prompt[0, row].item(),
            weight=weights[row],
        )
        for row in rows
    ]
