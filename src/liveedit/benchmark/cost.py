"""What a method costs beside its quality: seconds and bytes an edit, answering, taking back."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from tqdm import tqdm

from liveedit.backbones.query import Questions
from liveedit.benchmark.editing_cost import bytes_per_edit
from liveedit.benchmark.protocol import correction_of
from liveedit.benchmark.suite import Suite
from liveedit.editor import EditedModel

_TOKENS = 16  # that are decoded behind the first one
LATER = (0, 10)  # edits that were made after the one that is taken back


def measure_cost(
    model: EditedModel,
    suite: Suite,
    *,
    edits: int = 100,
    questions: int = 6,
    rounds: int = 5,
    about: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Make edits one at a time, ask about some of them, and take some back.

    Args:
        model: A model without edits; a fresh store is used.
        suite: What is corrected.
        edits: How many are in force.
        questions: Corrected questions that are asked, with their pictures.
        rounds: How often each is asked, edited and unedited in turn.
        about: What the result says of the suite.

    Returns:
        JSON: ``seconds_per_edit`` (median) and ``seconds_editing`` (all), ``bytes_per_edit``
        (tensors, mean), ``prefill`` and ``decode`` (``seconds`` of the edited model, of the
        ``unedited`` one, and the ``ratio``: medians; decode by token), ``revoke`` (seconds, by the
        number of edits that were made afterwards; None where the method cannot), ``undone`` (of
        the ``questions`` that were asked the logits of so many were ``changed`` by the edits, and
        of so many are the unedited model's bit for bit, ``same``, when all edits are taken back).
    """
    cases = suite.pictured[:edits]
    edited = EditedModel(model.method)
    corrections = [correction_of(case) for case in cases]
    taken = [
        _seconds(edited.edit_many, [one], keep=True)
        for one in tqdm(corrections, desc="editing", unit="edit")
    ]
    asked = [
        Questions(pictures=[one.image], prompts=[one.prompt]) for one in corrections[-questions:]
    ]
    prefill, decode = _answering(edited, asked, rounds)
    changed = _as_unedited(edited, asked).count(False)
    size, revoke = bytes_per_edit(edited.store), _revoking(edited)
    return {
        "method": model.method.name,
        "backbone": model.backbone.name,
        "dataset": suite.name,
        **(about or {}),
        **model.method.describe(),
        "dtype": model.backbone.precision,
        "device": str(model.backbone.edit_device),
        "threads": torch.get_num_threads(),
        "edits": len(cases),
        "seconds_per_edit": round(statistics.median(taken), 4),
        "seconds_editing": round(sum(taken), 2),
        "bytes_per_edit": size,
        "prefill": prefill,
        "decode": decode,
        "revoke": revoke,
        "undone": None if revoke is None else {
            "questions": len(asked), "changed": changed, "same": _undone(edited, asked)
        },
    }  # fmt: skip


def _answering(
    edited: EditedModel, questions: Sequence[Questions], rounds: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds to the first token, and for each further one, edited and not."""
    first: dict[bool, list[float]] = {True: [], False: []}
    further: dict[bool, list[float]] = {True: [], False: []}
    for each in questions:  # what is read once, such as a picture, is read before
        _generate(edited, each, 2)
    with tqdm(total=rounds * len(questions), desc="answering", unit="question") as bar:
        for turn in range(rounds):
            for each in questions:
                for with_edits in (True, False) if turn % 2 else (False, True):
                    with nullcontext() if with_edits else edited.disabled():
                        short = _seconds(_generate, edited, each, 1)
                        long = _seconds(_generate, edited, each, 1 + _TOKENS)
                    first[with_edits].append(short)
                    further[with_edits].append((long - short) / _TOKENS)
                bar.update()
    return _compared(first), _compared(further)


def _generate(edited: EditedModel, asked: Questions, tokens: int) -> None:
    """So many tokens, whatever the answer."""
    edited.generate(
        asked.pictures[0], asked.prompts[0], max_new_tokens=tokens, min_new_tokens=tokens
    )


def _compared(seconds: dict[bool, list[float]]) -> dict[str, float]:
    ratios = [one / other for one, other in zip(seconds[True], seconds[False], strict=True)]
    return {
        "seconds": round(statistics.median(seconds[True]), 5),
        "unedited": round(statistics.median(seconds[False]), 5),
        "ratio": round(statistics.median(ratios), 3),
    }


def _revoking(edited: EditedModel) -> dict[str, float] | None:
    """Seconds to take an edit back, by how many were made after it."""
    if edited.method.abilities.revoke == "never":
        return None
    found = {}
    for later in LATER:
        if later < len(edited.edits):
            gone = edited.edits[-1 - later].id
            found[str(later)] = round(_seconds(edited.revoke, gone), 4)
    return found


def _undone(edited: EditedModel, asked: Sequence[Questions]) -> int:
    """Of how many questions the logits are the unedited model's, when nothing is in force."""
    for one in tqdm(edited.edits[::-1], desc="taking back", unit="edit"):
        edited.revoke(one.id)
    return _as_unedited(edited, asked).count(True)


@torch.no_grad()
def _as_unedited(edited: EditedModel, asked: Sequence[Questions]) -> list[bool]:
    """Whether the logits of questions are the unedited model's, bit for bit."""
    backbone, pool = edited.backbone, edited.store.pool()
    found = []
    for each in asked:
        with edited.method.apply(each, pool) as query:
            logits = backbone.logits(query)
        plain = backbone.logits(backbone.query(each.pictures, each.prompts))
        found.append(torch.equal(logits, plain))
    return found


def _seconds(do: Callable[..., object], *arguments: Any, **more: Any) -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    began = time.perf_counter()
    do(*arguments, **more)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began
