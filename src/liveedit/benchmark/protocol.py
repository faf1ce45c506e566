"""The lifelong protocol: groups of N edits, everything asked after the last edit of a group.

The evaluation is cut into consecutive groups of N corrections, the tail included; beside each group
some text-only corrections are in force, too. Groups know nothing of each other: each is a namespace
of one store, so that groups of one edit are made and asked in batches, as large ones are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from liveedit.benchmark.metrics import WANT_TARGET, same_answer
from liveedit.benchmark.probes import BATCH, Probes, predictions
from liveedit.benchmark.suite import Group
from liveedit.correction import Correction
from liveedit.data.annotations.cases import HopCase
from liveedit.data.views import Case, question_of, views_of
from liveedit.editor import EditedModel
from liveedit.methods.liveedit.residual import RoutedExperts, edited_layer, fetch
from liveedit.methods.liveedit.routing import Route


class _Edited(NamedTuple):
    """Which edit of a run."""

    text_only: bool
    group: int
    case: int


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    """What the edited model makes of a probe."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    answer: str | None


class Protocol:
    """Runs groups of edits over probes that were read once.

    What a probe gets depends on its experts and their weights alone; where these are those of
    another run (as with N = 1 and N = 10 mostly), nothing is computed again.

    Args:
        model: Must have no edits; a fresh store is used for every run.
        pictured: Probes of the corrections with a picture.
        texts: Probes of the text-only ones, if there are any.
        hops: Portability questions, if there are any.
        generate: Whether answers are generated, too; if not, only teacher forcing.
        max_new_tokens: Longest generated answer.
    """

    def __init__(
        self,
        model: EditedModel,
        pictured: Probes,
        texts: Probes | None = None,
        hops: Probes | None = None,
        *,
        generate: bool = True,
        max_new_tokens: int = 16,
    ) -> None:
        self._model = model
        self._pictured, self._texts, self._hops = pictured, texts, hops
        self._generate = generate
        self._max_new_tokens = max_new_tokens
        self._known: dict[tuple[object, ...], _Outcome] = {}

    def run(self, groups: Sequence[Group], *, first: int = 0) -> Iterator[dict[str, Any]]:
        """Make the edits of all groups, then ask.

        Args:
            groups: All are asked about together, but know nothing of each other.
            first: Number of the first of them.

        Yields:
            One record for each probe: ``group``, ``case`` (position among the corrections of its
            kind), ``metric``, ``prompt``, ``expected``, ``answer`` (None without generation),
            ``accuracy`` (share of the expected tokens predicted under teacher forcing; for
            locality, agreement with what the unedited model predicted), ``before`` (the same of the
            unedited model; None for locality), ``exact``, ``passed`` (experts that pass the
            filters; the heaviest are added), ``own`` (weight of the correction's own), ``margin``
            and ``asked`` (by how much its own passes the hard and the prompt filter, None where
            these do not apply), ``top`` (the heaviest expert: ``case``, ``text_only``, ``weight``),
            and of portability ``owner`` (the correction) and ``length``.
        """
        model = EditedModel(self._model.backbone, self._model.network, config=self._model.config)
        made = self._edit(model, groups)
        for reading, members in self._asked(groups):
            width = len(reading.metrics)
            rows = [
                (number, case * width + metric)
                for number, some in enumerate(members)
                for case in some
                for metric in range(width)
            ]
            for start in range(0, len(rows), BATCH):
                some_rows = rows[start : start + BATCH]
                for (number, _), record in zip(
                    some_rows, self._ask(model, reading, some_rows, made), strict=True
                ):
                    yield {"group": first + number, **record}

    def probes(self, groups: Sequence[Group]) -> int:
        """How many records ``run`` yields."""
        return sum(
            len(reading.metrics) * sum(map(len, members))
            for reading, members in self._asked(groups)
        )

    def _asked(self, groups: Sequence[Group]) -> list[tuple[Probes, list[Sequence[int]]]]:
        """What is asked of which corrections of each group."""
        asked = (
            (self._pictured, [group.probed for group in groups]),
            (self._texts, [group.texts for group in groups]),
            (self._hops, [group.hops for group in groups]),
        )
        return [(reading, members) for reading, members in asked if reading is not None]

    def _edit(self, model: EditedModel, groups: Sequence[Group]) -> dict[_Edited, int]:
        """Rows of the edits in the store."""
        rows: dict[_Edited, int] = {}
        for reading, members in (
            (self._pictured, [group.edited for group in groups]),
            (self._texts, [group.texts for group in groups]),
        ):
            text_only = reading is not self._pictured
            if reading is None or (text_only and not model.network.config.text_router):
                continue
            chosen = [(number, case) for number, some in enumerate(members) for case in some]
            outcomes = model.edit_many(
                [_correction(reading.cases[case]) for _, case in chosen],
                namespaces=[str(number) for number, _ in chosen],
                batch=BATCH,
                progress=True,
            )
            for (number, case), outcome in zip(chosen, outcomes, strict=True):
                rows[_Edited(text_only, number, case)] = model.store.row(outcome.id)
        return rows

    def _ask(
        self,
        model: EditedModel,
        reading: Probes,
        rows: Sequence[tuple[int, int]],
        made: dict[_Edited, int],
    ) -> Iterator[dict[str, Any]]:
        width = len(reading.metrics)
        numbers = torch.tensor([row for _, row in rows])
        pool = model.store.pool(namespaces=[str(number) for number, _ in rows])
        features = reading.features.map(lambda part: part[numbers])
        with torch.no_grad():
            route = model.network.router.route(features, pool.features, pool.eligible)
        routed = fetch(route.weights, pool.experts)
        outcomes = self._outcomes(reading, numbers, routed)
        edited = {row: edit for edit, row in made.items()}
        for at, ((number, row), outcome) in enumerate(zip(rows, outcomes, strict=True)):
            place, metric = row // width, reading.metrics[row % width]
            case = reading.cases[place]
            wanted = metric in WANT_TARGET
            corrected = case.owner if isinstance(case, HopCase) else place
            own = made.get(_Edited(reading is self._texts, number, corrected))
            if own is not None and not pool.eligible[at, own]:
                own = None  # superseded
            record = {
                "case": place,
                "metric": metric,
                "prompt": question_of(case, reading.states.names[row % width]),
                "expected": reading.expected[row],
                "answer": outcome.answer,
                "before": _share(outcome.before, reading.wanted[row]) if wanted else None,
                "accuracy": _share(
                    outcome.after, reading.wanted[row] if wanted else outcome.before
                ),
                "exact": None
                if outcome.answer is None
                else same_answer(outcome.answer, reading.expected[row]),
                "passed": int((route.weights[at] != 0).sum()),
                "top": _heaviest(route, at, edited),
                **_own(route, at, own, features.sees, pool.features.sees),
            }
            if isinstance(case, HopCase):
                record |= {"owner": case.owner, "length": case.length}
            yield record

    def _outcomes(
        self, reading: Probes, rows: Int[Tensor, " rows"], routed: RoutedExperts | None
    ) -> list[_Outcome]:
        fires = torch.zeros_like(rows, dtype=torch.bool)
        if routed is not None:
            fires = (routed.weights != 0).any(1)
        keys = [
            (id(reading), row, _digest(routed, at) if routed is not None and fires[at] else None)
            for at, row in enumerate(rows.tolist())
        ]
        fresh = torch.tensor([key not in self._known for key in keys])

        def know(which: Tensor, found: list[_Outcome]) -> None:
            self._known.update(zip((keys[at] for at in which.tolist()), found, strict=True))

        edited, unedited = ((which & fresh).nonzero().flatten() for which in (fires, ~fires))
        if routed is not None and len(edited):
            know(edited, self._edited(reading, rows[edited], routed.rows(edited)))
        if len(unedited):
            know(unedited, self._unedited(reading, rows[unedited]))
        return [self._known[key] for key in keys]

    def _unedited(self, reading: Probes, rows: Int[Tensor, " rows"]) -> list[_Outcome]:
        """Rows that no edit concerns: they are bit-identical to the unedited model's."""
        answers: dict[int, str] = {}
        if self._generate:
            missing = [row for row in rows.tolist() if reading.before[row] is not None]
            answers = {row: reading.expected[row] for row in rows.tolist()}
            if missing:
                answers.update(zip(missing, self._answers(reading, missing, None), strict=True))
        return [
            _Outcome(
                before=reading.before[row] or (),
                after=reading.before[row] or (),
                answer=answers.get(row),
            )
            for row in rows.tolist()
        ]

    @torch.no_grad()
    def _edited(
        self, reading: Probes, rows: Int[Tensor, " rows"], routed: RoutedExperts
    ) -> list[_Outcome]:
        backbone, scale = self._model.backbone, self._model.network.scale
        width = len(reading.metrics)
        batch = reading.states.batch(rows // width, rows % width)
        spans = batch.representation(backbone, scale).spans

        def predict(states: Tensor) -> list[tuple[int, ...]]:
            return predictions(
                backbone, states, batch.attention_mask, spans.predicts, batch.per_token
            )

        after = predict(routed.add_to(batch.states, scale))
        before = [reading.before[row] for row in rows.tolist()]
        if any(one is None for one in before):
            before = [
                new if old is None else old
                for old, new in zip(before, predict(batch.states), strict=True)
            ]
        answers: Sequence[str | None] = [None] * len(rows)
        if self._generate:
            answers = self._answers(reading, rows.tolist(), routed)
        return [
            _Outcome(before=old or (), after=new, answer=answer)
            for old, new, answer in zip(before, after, answers, strict=True)
        ]

    @torch.no_grad()
    def _answers(
        self, reading: Probes, rows: Sequence[int], routed: RoutedExperts | None
    ) -> list[str]:
        """Freely generated answers, greedy."""
        backbone, width = self._model.backbone, len(reading.metrics)
        images, prompts = zip(
            *(
                views_of(reading.cases[row // width], (reading.states.names[row % width],))[0]
                for row in rows
            ),
            strict=True,
        )
        query = backbone.query(images, prompts)
        hook = edited_layer(
            backbone.layer, query.spans, self._model.network.scale, lambda _: routed
        )
        with hook:
            answers = backbone.generate(query, max_new_tokens=self._max_new_tokens)
        return [answer.strip() for answer in answers]


def _correction(case: Case) -> Correction:
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


def _digest(routed: RoutedExperts, row: int) -> bytes:
    """What is added to a row; padding does not matter."""
    count = int((routed.weights[row] != 0).sum())
    slots = count * (routed.experts.u.shape[1] // routed.weights.shape[1])
    digest = hashlib.blake2b(digest_size=16)
    for part in (
        routed.weights[row, :count], routed.experts.u[row, :slots], routed.experts.v[row, :slots]
    ):  # fmt: skip
        digest.update(part.contiguous().cpu().numpy().data)
    return digest.digest()


def _share(predicted: Sequence[int], wanted: Sequence[int]) -> float:
    if not wanted:  # the model itself answered nothing: nothing to agree about
        return 1.0
    return sum(p == w for p, w in zip(predicted, wanted, strict=True)) / len(wanted)
