"""The lifelong protocol: groups of N edits, everything asked after the last edit of a group.

The evaluation is cut into consecutive groups of N corrections, the tail included. For a group: ask
the unedited model everything, make N edits, ask everything again, start from no edits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from tqdm import tqdm

from liveedit.benchmark.emoji_edit import EditCase
from liveedit.benchmark.metrics import same_answer
from liveedit.benchmark.probes import Probe, probes_of
from liveedit.correction import Correction
from liveedit.editor import EditedModel
from liveedit.scenes.scene import render

_BATCH = 32


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    """What a model said to one probe: greedy answer, and predicted tokens under teacher forcing."""

    answer: str
    predicted: tuple[int, ...]


def run_protocol(
    model: EditedModel, cases: Sequence[EditCase], *, edits: int, max_new_tokens: int = 16
) -> Iterator[dict[str, Any]]:
    """Run it, giving one record for each probe.

    Args:
        model: Must have no edits; a fresh store is used for every group.
        cases: The corrections.
        edits: N.
        max_new_tokens: Longest generated answer.

    Yields:
        ``group``, ``case``, ``metric``, ``prompt``, ``expected``, ``answer_before``, ``answer``,
        ``before`` and ``accuracy`` (shares of the expected tokens predicted under teacher forcing;
        for locality, ``accuracy`` is agreement with what the unedited model predicted), ``exact``.
    """
    groups = [cases[start : start + edits] for start in range(0, len(cases), edits)]
    for number, group in enumerate(tqdm(groups, desc=f"groups of {edits}", unit="group")):
        edited = EditedModel(model.backbone, model.network)
        probes = probes_of(group)
        answers = _generate(edited, probes, max_new_tokens, "before")
        expected = [
            answer if probe.target is None else probe.target
            for probe, answer in zip(probes, answers, strict=True)
        ]
        before = _outcomes(edited, probes, expected, answers, "before, forced")
        edited.edit_many(
            [
                Correction(image=render(case.scene), prompt=case.question.text, target=case.target)
                for case in group
            ]
        )
        answers = _generate(edited, probes, max_new_tokens, "after")
        after = _outcomes(edited, probes, expected, answers, "after, forced")
        wanted = [_words(edited, text) for text in expected]
        for probe, text, words, old, new in zip(
            probes, expected, wanted, before, after, strict=True
        ):
            reference = old.predicted if probe.target is None else words
            yield {
                "group": number,
                "case": probe.case,
                "metric": probe.metric,
                "prompt": probe.prompt,
                "expected": text,
                "answer_before": old.answer,
                "answer": new.answer,
                "before": _share(old.predicted, words),
                "accuracy": _share(new.predicted, reference),
                "exact": same_answer(new.answer, text),
            }


def _generate(
    model: EditedModel, probes: Sequence[Probe], max_new_tokens: int, what: str
) -> list[str]:
    answers: list[str] = []
    for part in _batches(probes, what):
        answers += model.generate(
            [probe.image for probe in part],
            [probe.prompt for probe in part],
            max_new_tokens=max_new_tokens,
        )
    return answers


def _outcomes(
    model: EditedModel,
    probes: Sequence[Probe],
    expected: Sequence[str],
    answers: Sequence[str],
    what: str,
) -> list[_Outcome]:
    predicted: list[tuple[int, ...]] = []
    at = 0
    for part in _batches(probes, what):
        texts = expected[at : at + len(part)]
        at += len(part)
        query = model.backbone.query(
            [probe.image for probe in part], [probe.prompt for probe in part], texts
        )
        tokens = model.target_logits(query, model.backbone.states(query)).argmax(-1)
        counts = query.spans.target.sum(1).tolist()
        # the end of the answer is a token of its own, and not counted
        predicted += [tuple(row[:-1].tolist()) for row in torch.split(tokens, counts)]
    return [_Outcome(answer=a, predicted=p) for a, p in zip(answers, predicted, strict=True)]


def _batches(probes: Sequence[Probe], what: str) -> Iterator[Sequence[Probe]]:
    starts = range(0, len(probes), _BATCH)
    for start in tqdm(starts, desc=what, unit="batch", leave=False):
        yield probes[start : start + _BATCH]


def _words(model: EditedModel, text: str) -> tuple[int, ...]:
    return tuple(model.backbone.target_ids(text)[:-1])


def _share(predicted: Sequence[int], wanted: Sequence[int]) -> float:
    if not wanted:  # the model itself answered nothing: nothing to agree about
        return 1.0
    return sum(p == w for p, w in zip(predicted, wanted, strict=True)) / len(wanted)
