"""The lifelong protocol: groups of N edits, everything asked after the last edit of a group.

The evaluation is cut into consecutive groups of N corrections, the tail included; beside each group
some text-only corrections are in force, too. Groups know nothing of each other: each is a namespace
of one store, so that groups of one edit are made and asked in batches, as large ones are.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool
from torch import Tensor

from liveedit.benchmark.asking import Outcome, asking
from liveedit.benchmark.editing_cost import Editing, bytes_per_edit
from liveedit.benchmark.metrics import METRICS, WANT_TARGET, same_answer
from liveedit.benchmark.probes import BATCH, Probes
from liveedit.benchmark.suite import Group
from liveedit.correction import Correction
from liveedit.data.annotations.cases import HopCase
from liveedit.data.views import Case, question_of, views_of
from liveedit.editor import EditedModel
from liveedit.methods.route import Route


class _Edited(NamedTuple):
    """Which edit of a run."""

    text_only: bool
    group: int
    case: int


class Protocol:
    """Runs groups of edits over probes that were read once.

    Args:
        model: Must have no edits; a fresh store is used for every run.
        pictured: Probes of the corrections with a picture.
        texts: Probes of the text-only ones, if there are any.
        hops: Portability questions, if there are any.
        forced: Whether expected answers are predicted under teacher forcing.
        generate: Whether answers are generated.
        max_new_tokens: Longest generated answer.
        metrics: What is asked for; the edits are made all the same.

    Attributes:
        editing: What the edits of the latest run cost.
    """

    def __init__(
        self,
        model: EditedModel,
        pictured: Probes,
        texts: Probes | None = None,
        hops: Probes | None = None,
        *,
        forced: bool = True,
        generate: bool = True,
        max_new_tokens: int = 16,
        metrics: Collection[str] = METRICS,
    ) -> None:
        self._model = model
        self._pictured, self._texts, self._hops = pictured, texts, hops
        self.editing = Editing(edits=0, seconds=0.0, bytes_per_edit=0)
        self._asking = asking(
            model.method, forced=forced, generate=generate, max_new_tokens=max_new_tokens
        )
        self._metrics = metrics

    def run(self, groups: Sequence[Group], *, first: int = 0) -> Iterator[dict[str, Any]]:
        """Make the edits of all groups, then ask.

        Args:
            groups: All are asked about together, but know nothing of each other.
            first: Number of the first of them.

        Yields:
            One record for each probe: ``group``, ``case`` (position among the corrections of its
            kind), ``metric``, ``prompt``, ``expected``, ``answer`` (None without generation),
            ``accuracy`` (share of the expected tokens predicted under teacher forcing; for
            locality, agreement with what the unedited model predicted; None without it),
            ``before`` (the same of the unedited model; None for locality), ``exact``,
            ``passed`` (experts that pass the filters; the heaviest are added), ``own`` (weight of
            the correction's own), ``margin`` and ``asked`` (by how much its own passes the hard and
            the prompt filter, None where these do not apply), ``top`` (the heaviest expert:
            ``case``, ``text_only``, ``weight``), and of portability ``owner`` (the correction) and
            ``length``.
        """
        model = EditedModel(self._model.method)
        began = time.perf_counter()
        made = self._edit(model, groups)
        self.editing = Editing(
            edits=len(made),
            seconds=round(time.perf_counter() - began, 3),
            bytes_per_edit=bytes_per_edit(model.store),
        )
        for reading, members in self._asked(groups):
            width = len(reading.metrics)
            rows = [
                (number, case * width + metric)
                for number, some in enumerate(members)
                for case in some
                for metric in self._asked_for(reading)
            ]
            for some in self._batches(rows):
                for (number, _), record in zip(
                    some, self._ask(model, reading, some, made), strict=True
                ):
                    yield {"group": first + number, **record}

    def probes(self, groups: Sequence[Group]) -> int:
        """How many records ``run`` yields."""
        return sum(
            len(self._asked_for(reading)) * sum(map(len, members))
            for reading, members in self._asked(groups)
        )

    def _asked_for(self, reading: Probes) -> list[int]:
        """Numbers of the metrics that are asked for."""
        return [at for at, metric in enumerate(reading.metrics) if metric in self._metrics]

    def _asked(self, groups: Sequence[Group]) -> list[tuple[Probes, list[Sequence[int]]]]:
        """What is asked of which corrections of each group."""
        asked = (
            (self._pictured, [group.probed for group in groups]),
            (self._texts, [group.texts for group in groups]),
            (self._hops, [group.hops for group in groups]),
        )
        return [(reading, members) for reading, members in asked if reading is not None]

    def _batches(self, rows: Sequence[tuple[int, int]]) -> Iterator[Sequence[tuple[int, int]]]:
        """Rows that are asked together: of several groups only if the method can."""
        mixed = self._model.method.abilities.mixed_batches
        for _, some in groupby(rows, key=lambda row: None if mixed else row[0]):
            together = list(some)
            for start in range(0, len(together), BATCH):
                yield together[start : start + BATCH]

    def _edit(self, model: EditedModel, groups: Sequence[Group]) -> dict[_Edited, str]:
        """Names of the edits in the store."""
        made: dict[_Edited, str] = {}
        for reading, members in (
            (self._pictured, [group.edited for group in groups]),
            (self._texts, [group.texts for group in groups]),
        ):
            text_only = reading is not self._pictured
            if reading is None or (text_only and not model.method.abilities.text_only):
                continue
            chosen = [(number, case) for number, some in enumerate(members) for case in some]
            outcomes = model.edit_many(
                [correction_of(reading.cases[case]) for _, case in chosen],
                namespaces=[str(number) for number, _ in chosen],
                batch=BATCH,
                keep=True,
                progress=True,
            )
            for (number, case), outcome in zip(chosen, outcomes, strict=True):
                made[_Edited(text_only, number, case)] = outcome.id
        return made

    def _ask(
        self,
        model: EditedModel,
        reading: Probes,
        rows: Sequence[tuple[int, int]],
        made: dict[_Edited, str],
    ) -> Iterator[dict[str, Any]]:
        width = len(reading.metrics)
        numbers = torch.tensor([row for _, row in rows])
        spaces = [str(number) for number, _ in rows]
        pool = model.store.pool(namespaces=spaces if len(set(spaces)) > 1 else spaces[:1])
        route, near, outcomes = self._asking.ask(reading, numbers, pool)
        column = {name: at for at, name in enumerate(near.ids[: near.eligible.shape[1]])}
        edited = {column[name]: edit for edit, name in made.items() if name in column}
        sees = reading.sees[numbers]
        for at, ((number, row), outcome) in enumerate(zip(rows, outcomes, strict=True)):
            place, metric = row // width, reading.metrics[row % width]
            case = reading.cases[place]
            wanted = metric in WANT_TARGET
            corrected = case.owner if isinstance(case, HopCase) else place
            own = column.get(made.get(_Edited(reading is self._texts, number, corrected), ""))
            if own is not None and not near.eligible[at % len(near.eligible), own]:
                own = None  # superseded
            record = {
                "case": place,
                "metric": metric,
                "prompt": question_of(case, reading.states.names[row % width]),
                "expected": reading.expected[row],
                "answer": outcome.answer,
                **_shares(outcome, reading.wanted[row] if wanted else None),
                "exact": None
                if outcome.answer is None
                else same_answer(outcome.answer, reading.expected[row]),
                "passed": int((route.weights[at] != 0).sum()),
                "top": _heaviest(route, at, edited),
                **_own(route, at, own, sees, near.keys.sees),
            }
            if isinstance(case, HopCase):
                record |= {"owner": case.owner, "length": case.length}
            yield record


def correction_of(case: Case) -> Correction:
    """What a person would state of a case."""
    image, prompt = views_of(case, ("edit",))[0]
    return Correction(image=image, prompt=prompt, target=case.target)


def _heaviest(route: Route, at: int, edited: dict[int, _Edited]) -> dict[str, object] | None:
    weights = route.weights[at]
    if not weights.any():
        return None
    weight, row = weights.max(0)
    edit = edited[int(row)]
    return {"case": edit.case, "text_only": edit.text_only, "weight": round(weight.item(), 5)}


def _own(
    route: Route,
    at: int,
    own: int | None,
    sees: Bool[Tensor, " queries"],
    edits_see: Bool[Tensor, " experts"],
) -> dict[str, float | None]:
    """What the router thinks of the correction's own edit, if it is in force."""
    if own is None:
        return {"own": 0.0, "margin": None, "asked": None}
    both, alike = bool(sees[at] & edits_see[own]), bool(sees[at] == edits_see[own])
    return {
        "own": round(route.weights[at, own].item(), 5),
        "margin": round((route.vision[at, own] - route.threshold[at, 0]).item(), 4)
        if both
        else None,
        "asked": round(route.prompt[at, own].item(), 4) if alike else None,
    }


def _shares(outcome: Outcome, wanted: Sequence[int] | None) -> dict[str, float | None]:
    """What is predicted of the wanted tokens; None: of what the unedited model predicts."""
    if outcome.before is None or outcome.after is None:
        return {"before": None, "accuracy": None}
    if wanted is None:
        return {"before": None, "accuracy": _share(outcome.after, outcome.before)}
    return {"before": _share(outcome.before, wanted), "accuracy": _share(outcome.after, wanted)}


def _share(predicted: Sequence[int], wanted: Sequence[int]) -> float:
    if not wanted:  # the model itself answered nothing: nothing to agree about
        return 1.0
    return sum(p == w for p, w in zip(predicted, wanted, strict=True)) / len(wanted)
