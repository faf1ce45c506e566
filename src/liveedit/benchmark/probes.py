"""Everything about the probes that does not depend on edits, computed once for all N."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from tqdm import tqdm

from liveedit.backbones.base import Backbone
from liveedit.benchmark.base_answers import base_answers
from liveedit.benchmark.metrics import WANT_TARGET
from liveedit.data.cached_states import CachedViews, ViewBatch, cache_views
from liveedit.data.views import Case

BATCH = 32


@dataclass(frozen=True, kw_only=True)
class Probes:
    """Probes of some corrections as the unedited model reads them.

    A probe is one view of one correction; row ``case * len(metrics) + number of the metric``.

    Args:
        cases: The corrections; the first of them are read.
        metrics: What their views measure.
        expected: For each row the wanted answer: the target, or the unedited model's own answer.
        states: Hidden states at the edit layer, the wanted answer included.
        sees: Which rows have a picture.
        before: For each row the tokens that the unedited model predicts in place of the wanted
            ones under teacher forcing, the end of the answer left out; for locality, where they are
            only needed if an edit fires, None.
        wanted: For each row the wanted tokens.
    """

    cases: Sequence[Case]
    metrics: tuple[str, ...]
    expected: list[str]
    states: CachedViews
    sees: Bool[Tensor, " rows"]
    before: list[tuple[int, ...] | None]
    wanted: list[tuple[int, ...]]

    def batch(self, rows: Int[Tensor, " rows"]) -> ViewBatch:
        """States of some rows, padded on the left."""
        width = len(self.metrics)
        return self.states.batch(rows // width, rows % width)


def read_probes(
    backbone: Backbone,
    cases: Sequence[Case],
    folder: Path,
    *,
    views: Mapping[str, str],
    max_new_tokens: int,
    asked: int | None = None,
) -> Probes:
    """Ask the unedited model, and read its states.

    Args:
        backbone: The model.
        cases: Corrections, all of one kind.
        folder: Cache of answers and states.
        views: What each metric asks, such as ``metrics.VIEW_OF``.
        max_new_tokens: Longest answer.
        asked: How many of the corrections will be asked about; all by default.
    """
    every, cases = cases, cases[:asked]
    local = [view for metric, view in views.items() if metric not in WANT_TARGET]
    given: list[list[str]] = [[] for _ in cases]
    if local:
        given = base_answers(
            backbone, cases, local, folder / "before", max_new_tokens=max_new_tokens
        )
    answers = []
    for case, own in zip(cases, given, strict=True):
        mine = dict(zip(local, own, strict=True))
        answers.append([mine.get(view, case.target) for view in views.values()])
    names = tuple(views.values())
    states = cache_views(backbone, cases, folder / "states", names=names, answers=answers)
    rows = torch.arange(len(cases) * len(names))
    before: list[tuple[int, ...] | None] = []
    wanted, sees = [], []
    targeted = torch.tensor([metric in WANT_TARGET for metric in views])
    for some in tqdm(rows.split(BATCH), desc="reading", unit="batch", leave=False):
        batch = states.batch(some // len(names), some % len(names))
        spans = batch.spans(backbone)
        sees.append(spans.vision.any(1))
        tokens = batch.input_ids[spans.target].split(batch.target_lengths.tolist())
        wanted += [tuple(row[:-1].tolist()) for row in tokens]
        aimed = targeted[some % len(names)]
        predicted = iter(
            predictions(backbone, batch.states[aimed], batch.attention_mask[aimed],
                        spans.predicts[aimed],
                        {name: value[aimed] for name, value in batch.per_token.items()})
        )  # fmt: skip
        before += [next(predicted) if one else None for one in aimed.tolist()]
    return Probes(
        cases=every,
        metrics=tuple(views),
        expected=[answer for row in answers for answer in row],
        states=states,
        sees=torch.cat(sees),
        before=before,
        wanted=wanted,
    )


@torch.no_grad()
def predictions(
    backbone: Backbone,
    states: Tensor,
    attention_mask: Tensor,
    predicts: Tensor,
    per_token: Mapping[str, Tensor],
) -> list[tuple[int, ...]]:
    """For each row the likeliest token at every position before a target token but the last.

    The end of the answer is a token of its own, and not counted.

    Args:
        states: At the edit layer, edited or not; (batch, length, width).
        attention_mask: One where a token is; (batch, length).
        predicts: The positions that predict a target token; (batch, length).
        per_token: What else the layers above read of every token, see `Query`.
    """
    if not len(states):
        return []
    tokens = backbone.finish(states, attention_mask, predicts, per_token).argmax(-1)
    return [tuple(row[:-1].tolist()) for row in tokens.split(predicts.sum(1).tolist())]
