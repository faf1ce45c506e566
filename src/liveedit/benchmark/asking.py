"""Asking a method about probes: from cached states where it can, else by whole passes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from liveedit.backbones.base import Backbone
from liveedit.backbones.kept_logits import forced_tokens
from liveedit.backbones.query import Query, Questions
from liveedit.benchmark.probes import BATCH, Probes, predictions
from liveedit.data.views import views_of
from liveedit.methods.base import Method
from liveedit.methods.route import Route
from liveedit.methods.states import StateChange, StateMethod
from liveedit.store.pool import Pool

_WHOLE_PASSES = 8  # rows of a pass whose logits are held at all positions

Rows = Int[Tensor, " rows"]
Predictions = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the edited model makes of a probe.

    Args:
        before: Tokens that the unedited model predicts in place of the expected ones.
        after: Those of the edited model; both None without teacher forcing.
        answer: The freely generated one; None without generation.
    """

    before: Predictions | None
    after: Predictions | None
    answer: str | None


class Asking(ABC):
    """Asks a method; what no edit concerns is answered once for all.

    Args:
        backbone: The frozen model.
        forced: Whether expected answers are predicted under teacher forcing.
        generate: Whether answers are generated.
        max_new_tokens: Longest generated answer.
    """

    def __init__(
        self, backbone: Backbone, *, generate: bool, max_new_tokens: int, forced: bool = True
    ) -> None:
        self.backbone = backbone
        self.forced, self.generate, self.max_new_tokens = forced, generate, max_new_tokens
        self._known: dict[tuple[object, ...], Outcome] = {}

    @abstractmethod
    def ask(self, probes: Probes, rows: Rows, pool: Pool) -> tuple[Route, Pool, list[Outcome]]:
        """Ask a batch.

        Args:
            probes: All probes of a kind.
            rows: Those of the batch.
            pool: What is in force, for each row.

        Returns:
            Scores, the pool that their columns stand for, and what came of each row.
        """

    def answers(self, query: Query) -> list[str]:
        """Freely generated answers, greedy."""
        answers = self.backbone.generate(query, max_new_tokens=self.max_new_tokens)
        return [answer.strip() for answer in answers]

    def unedited(self, probes: Probes, rows: Rows) -> list[Outcome]:
        """Rows that no edit concerns: they are bit-identical to the unedited model's."""
        asked_for = rows.tolist()
        fresh = [row for row in asked_for if (id(probes), row) not in self._known]
        answers: dict[int, str] = {}
        if self.generate and fresh:
            # the expected answer of the others is the unedited model's own
            missing = [row for row in fresh if probes.before[row] is not None]
            answers = {row: probes.expected[row] for row in fresh}
            if missing:
                asked = questions_of(probes, missing)
                query = self.backbone.query(asked.pictures, asked.prompts)
                answers.update(zip(missing, self.answers(query), strict=True))
        for row in fresh:
            said = (probes.before[row] or ()) if self.forced else None
            self._known[id(probes), row] = Outcome(before=said, after=said, answer=answers.get(row))
        return [self._known[id(probes), row] for row in asked_for]

    def combined(
        self,
        probes: Probes,
        rows: Rows,
        concerned: Bool[Tensor, " rows"],
        edited: Sequence[Outcome],
    ) -> list[Outcome]:
        """Outcomes of all rows, given those that edits concern."""
        unedited = iter(self.unedited(probes, rows[~concerned]))
        others = iter(edited)
        return [next(others if one else unedited) for one in concerned.tolist()]


class FromStates(Asking):
    """Asks a method that reads and changes states at the edit layer alone.

    The states are cached, so that neither the vision tower nor the layers below run again. What a
    probe gets depends on what is added to its states; where that was added to them before (as with
    N = 1 and N = 10 mostly), nothing is computed again.
    """

    def __init__(self, method: StateMethod[Any, Any], **options: Any) -> None:
        super().__init__(method.backbone, **options)
        self.method = method
        self._features: dict[int, Any] = {}

    @torch.no_grad()
    def ask(self, probes: Probes, rows: Rows, pool: Pool) -> tuple[Route, Pool, list[Outcome]]:
        """Ask a batch."""
        route = self.method.route_features(self.features(probes).take(rows), pool)
        change = self.method.change(route, pool)
        if change is None:
            return route, pool, self.unedited(probes, rows)
        concerned = change.concerned
        which = concerned.nonzero().flatten()
        keys = [(id(probes), int(rows[at]), change.digest(at)) for at in which.tolist()]
        fresh = torch.tensor([key not in self._known for key in keys], dtype=torch.bool)
        if fresh.any():
            some = which[fresh]
            found = self._edited(probes, rows[some], change.take(some))
            new = (key for key, one in zip(keys, fresh.tolist(), strict=True) if one)
            self._known.update(zip(new, found, strict=True))
        edited = [self._known[key] for key in keys]
        return route, pool, self.combined(probes, rows, concerned, edited)

    @torch.no_grad()
    def features(self, probes: Probes) -> Any:
        """Features of all rows, computed once."""
        if id(probes) not in self._features:
            parts = []
            for some in torch.arange(len(probes.expected)).split(BATCH):
                batch = probes.batch(some)
                parts.append(self.method.features(batch.states, batch.spans(self.backbone)))
            self._features[id(probes)] = self.method.seeing(
                self.method.join(parts),
                lambda row: questions_of(probes, [row]).pictures[0],
                lambda row: questions_of(probes, [row]).prompts[0],
            )
        return self._features[id(probes)]

    def _edited(self, probes: Probes, rows: Rows, change: StateChange) -> list[Outcome]:
        before: Sequence[Predictions | None] = [None] * len(rows)
        after: Sequence[Predictions | None] = before
        if self.forced:
            batch = probes.batch(rows)
            spans = batch.spans(self.backbone)

            def predict(states: Tensor) -> list[Predictions]:
                return predictions(
                    self.backbone, states, batch.attention_mask, spans.predicts, batch.per_token
                )

            after = predict(change.add_to(batch.states, spans))
            before = _before(probes, rows, lambda: predict(batch.states))
        answers: Sequence[str | None] = [None] * len(rows)
        if self.generate:
            asked = questions_of(probes, rows.tolist())
            query = self.backbone.query(asked.pictures, asked.prompts)
            with self.method.changing(query, change):
                answers = self.answers(query)
        return [
            Outcome(before=old, after=new, answer=answer)
            for old, new, answer in zip(before, after, answers, strict=True)
        ]


class FromQuestions(Asking):
    """Asks any method, by whole passes of the model over what an edit concerns."""

    def __init__(self, method: Method, **options: Any) -> None:
        super().__init__(method.backbone, **options)
        self.method = method

    @torch.no_grad()
    def ask(self, probes: Probes, rows: Rows, pool: Pool) -> tuple[Route, Pool, list[Outcome]]:
        """Ask a batch."""
        route, near = self.method.route(questions_of(probes, rows.tolist()), pool)
        concerned = (route.weights != 0).any(1)
        edited: list[Outcome] = []
        if concerned.any():
            which = concerned.nonzero().flatten()
            edited = self._edited(probes, rows[which], pool.of_queries(which))
        return route, near, self.combined(probes, rows, concerned, edited)

    def _edited(self, probes: Probes, rows: Rows, pool: Pool) -> list[Outcome]:
        predicted: list[tuple[Predictions | None, Predictions | None]] = [(None, None)] * len(rows)
        if self.forced:
            predicted = [
                pair
                for some in torch.arange(len(rows)).split(_WHOLE_PASSES)
                for pair in self._predicted(probes, rows[some], pool.of_queries(some))
            ]
        answers: Sequence[str | None] = [None] * len(rows)
        if self.generate:
            with self.method.apply(questions_of(probes, rows.tolist()), pool) as query:
                answers = self.answers(query)
        return [
            Outcome(before=old, after=new, answer=answer)
            for (old, new), answer in zip(predicted, answers, strict=True)
        ]

    def _predicted(
        self, probes: Probes, rows: Rows, pool: Pool
    ) -> Iterator[tuple[Predictions, Predictions]]:
        """Of the unedited model, and of the edited one."""
        listed = rows.tolist()
        asked = questions_of(probes, listed, targets=[probes.expected[row] for row in listed])
        with self.method.apply(asked, pool) as query:
            after = self._likeliest(query)
        before = _before(
            probes,
            rows,
            lambda: self._likeliest(
                self.backbone.query(asked.pictures, asked.prompts, asked.targets)
            ),
        )
        return zip(before, after, strict=True)

    def _likeliest(self, query: Query) -> list[Predictions]:
        """The likeliest tokens in place of the expected ones, but for the end of the answer."""
        return [tuple(row[:-1].tolist()) for row in forced_tokens(self.backbone, query)]


def asking(method: Method, **options: Any) -> Asking:
    """The faster way that a method is able to; options are those of `Asking`."""
    if isinstance(method, StateMethod):
        return FromStates(method, **options)
    return FromQuestions(method, **options)


def _before(
    probes: Probes, rows: Rows, predict: Callable[[], list[Predictions]]
) -> list[Predictions]:
    """What the unedited model predicts for each row; asked only where it is not known."""
    known = [probes.before[row] for row in rows.tolist()]
    if all(one is not None for one in known):
        return [one for one in known if one is not None]
    return [new if old is None else old for old, new in zip(known, predict(), strict=True)]


def questions_of(
    probes: Probes, rows: Sequence[int], targets: Sequence[str] | None = None
) -> Questions:
    """Probes as they are asked.

    Args:
        probes: All of a kind.
        rows: Which.
        targets: What is to be answered, for teacher forcing.
    """
    width, names = len(probes.metrics), probes.states.names
    seen = [views_of(probes.cases[row // width], (names[row % width],))[0] for row in rows]
    pictures, prompts = zip(*seen, strict=True)
    return Questions(pictures=list(pictures), prompts=list(prompts), targets=targets)
