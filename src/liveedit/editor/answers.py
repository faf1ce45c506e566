"""What the model says to corrections' own questions, with the edits in force."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import torch

from liveedit.backbones.query import Questions
from liveedit.correction import Correction
from liveedit.errors import LiveEditError, StoreError
from liveedit.methods.base import Method
from liveedit.store.base import Store
from liveedit.store.pool import Pool

CHECKED = 8  # corrections that are looked at together
_MORE = 16  # tokens beyond the target's that an answer may have


def asked_together(method: Method, namespaces: Sequence[str]) -> list[list[int]]:
    """Rows of corrections in batches, as the method can answer them together.

    Args:
        method: Answers.
        namespaces: The set of edits that each belongs to.
    """
    order = sorted(range(len(namespaces)), key=namespaces.__getitem__)
    mixed = method.abilities.mixed_batches
    return [
        rows[start : start + CHECKED]
        for _, some in groupby(order, key=lambda row: None if mixed else namespaces[row])
        for rows in [list(some)]
        for start in range(0, len(rows), CHECKED)
    ]


def own_questions(
    store: Store, corrections: Sequence[Correction], namespaces: Sequence[str], *, targets: bool
) -> tuple[Questions, Pool]:
    """The questions of corrections, and the edits in force for each."""
    questions = Questions(
        pictures=[one.image for one in corrections],
        prompts=[one.prompt for one in corrections],
        targets=[one.target for one in corrections] if targets else None,
    )
    return questions, store.pool(namespaces=list(namespaces))


@torch.no_grad()
def wrong_answers(
    method: Method, store: Store, corrections: Sequence[Correction], namespaces: Sequence[str]
) -> list[str | None]:
    """What the model says instead of each target, generated greedily; None if just the target.

    Args:
        method: Answers.
        store: What is in force.
        corrections: A batch, see :func:`asked_together`.
        namespaces: The set of edits that each belongs to.
    """
    backbone = method.backbone
    tokens = max(len(backbone.target_ids(one.target)) for one in corrections)
    with method.apply(*own_questions(store, corrections, namespaces, targets=False)) as query:
        answers = backbone.generate(query, max_new_tokens=tokens + _MORE)
    return [
        None if answer.strip() == backbone.spoken(one.target) else answer.strip()
        for one, answer in zip(corrections, answers, strict=True)
    ]


def answers_of_any(
    method: Method, store: Store, corrections: Sequence[Correction], namespaces: Sequence[str]
) -> list[str | LiveEditError | None]:
    """The same of any number of corrections, and why the model cannot be asked some of them.

    Raises:
        StoreError: The store cannot be read.
    """
    found: dict[int, str | LiveEditError | None] = {}

    def ask(rows: Sequence[int]) -> None:
        stated, spaces = [corrections[row] for row in rows], [namespaces[row] for row in rows]
        try:
            found.update(zip(rows, wrong_answers(method, store, stated, spaces), strict=True))
        except StoreError:
            raise
        except LiveEditError as error:
            if len(rows) == 1:
                found[rows[0]] = error
                return
            for row in rows:
                ask([row])

    for rows in asked_together(method, namespaces):
        ask(rows)
    return [found[row] for row in range(len(corrections))]
