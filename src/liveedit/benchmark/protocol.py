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

_BATCH = 32


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
        answers_before = _generate(edited, probes, max_new_tokens, "before")
        expected = [
            answer if probe.target is None else probe.target
            for probe, answer in zip(probes, answers_before, strict=True)
        ]
        edited.edit_many(
            [
                Correction(image=probe.image, prompt=probe.prompt, target=probe.target)
                for probe in probes
                if probe.metric == "rel" and probe.image is not None and probe.target is not None
            ]
        )
        answers = _generate(edited, probes, max_new_tokens, "after")
        for probe, text, answer_before, answer, forced in zip(
            probes,
            expected,
            answers_before,
            answers,
            _forced(edited, probes, expected),
            strict=True,
        ):
            reference = forced.before if probe.target is None else forced.wanted
            yield {
                "group": number,
                "case": probe.case,
                "metric": probe.metric,
                "prompt": probe.prompt,
                "expected": text,
                "answer_before": answer_before,
                "answer": answer,
                "before": _share(forced.before, forced.wanted),
                "accuracy": _share(forced.after, reference),
                "exact": same_answer(answer, text),
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


@dataclass(frozen=True, kw_only=True)
class _Forced:
    """Token ids under teacher forcing: the expected ones, and what is predicted in their places."""

    wanted: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]


def _forced(
    model: EditedModel, probes: Sequence[Probe], expected: Sequence[str]
) -> Iterator[_Forced]:
    """Predictions without and with the edits; the layers below the edit layer run once for both."""
    texts = iter(expected)
    for part in _batches(probes, "forced"):
        query = model.backbone.query(
            [probe.image for probe in part],
            [probe.prompt for probe in part],
            [next(texts) for _ in part],
        )
        states = model.backbone.states(query)
        with model.disabled():
            before = model.target_logits(query, states).argmax(-1)
        after = model.target_logits(query, states).argmax(-1)
        counts = query.spans.target.sum(1).tolist()
        rows = (
            torch.split(tokens, counts)
            for tokens in (query.input_ids[query.spans.target], before, after)
        )
        for row in zip(*rows, strict=True):
            # the end of the answer is a token of its own, and not counted
            wanted, old, new = (tuple(tokens[:-1].tolist()) for tokens in row)
            yield _Forced(wanted=wanted, before=old, after=new)


def _batches(probes: Sequence[Probe], what: str) -> Iterator[Sequence[Probe]]:
    starts = range(0, len(probes), _BATCH)
    for start in tqdm(starts, desc=what, unit="batch", leave=False):
        yield probes[start : start + _BATCH]


def _share(predicted: Sequence[int], wanted: Sequence[int]) -> float:
    if not wanted:  # the model itself answered nothing: nothing to agree about
        return 1.0
    return sum(p == w for p, w in zip(predicted, wanted, strict=True)) / len(wanted)
