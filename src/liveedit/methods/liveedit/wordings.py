"""What a sentence encoder says of two wordings, added to what the prompt features say.

Prompt features learn from the wordings of their training which questions are one question; a
sentence encoder has read far more, and mistakes "Where is the web?" for "What is beside the web?".
Together they miss less than either (docs/method.md). Questions are compared only where the picture
already passes, or nearly does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from liveedit.methods.liveedit.features import Similarities
from liveedit.methods.liveedit.messages import LONGEST
from liveedit.methods.liveedit.nearest import NEAR
from liveedit.methods.liveedit.routing import Router
from liveedit.methods.shared.sentence_encoder import encode_known
from liveedit.store.edit import Edit

# chosen on validation corrections of emoji-edit and E-VQA
_WEIGHT, _CENTRE = 6.0, 0.5

_COMPARED = 32  # edits of a query, those whose pictures are the most alike


def with_wordings(
    router: Router,
    alike: Similarities,
    eligible: Bool[Tensor, "#batch experts"],
    crowd: Int[Tensor, "batch 1"],
    question_of: Callable[[int], str | None],
    edits_of: Callable[[Sequence[int]], Sequence[Edit]],
) -> Similarities:
    """Similarities in which what is asked counts the words, too.

    Args:
        router: Knows which pictures pass.
        alike: Similarities of features.
        eligible: Experts that may be chosen at all.
        crowd: How many might have been chosen.
        question_of: Words of a row's question, None if they are not at hand.
        edits_of: The edits of some columns.

    Returns:
        Pairs that are not compared are as they were.
    """
    near = alike.sees & eligible & (alike.vision > router.threshold(alike, crowd) - NEAR)
    questions: dict[int, str] = {}
    compared: dict[int, list[int]] = {}  # columns of these rows
    for row in near.any(1).nonzero().flatten().tolist():
        question = question_of(row)
        if question is not None and len(question) <= LONGEST:
            some = near[row].nonzero().flatten()
            order = alike.vision[row, some].argsort(descending=True)[:_COMPARED]
            questions[row], compared[row] = question, some[order].tolist()
    if not compared:
        return alike
    used = sorted({column for columns in compared.values() for column in columns})
    wordings = {
        column: (edit.prompt, *edit.rephrasings)
        for column, edit in zip(used, edits_of(used), strict=True)
    }
    texts = [*questions.values(), *(text for some in wordings.values() for text in some)]
    vectors = dict(zip(texts, encode_known(texts), strict=True))
    more = torch.zeros_like(alike.prompt)
    for row, columns in compared.items():
        asked = vectors[questions[row]]
        nearest = [max(float(asked @ vectors[text]) for text in wordings[at]) for at in columns]
        more[row, columns] = _WEIGHT * (more.new_tensor(nearest) - _CENTRE)
    return replace(alike, prompt=alike.prompt + more)
