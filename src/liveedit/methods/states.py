"""An ability: a method that reads and changes states at the edit layer, and nothing else.

What the layers below compute is then the same with and without edits. A benchmark computes it once
for all edits, and asks such a method directly.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from liveedit.backbones.query import Query, Questions
from liveedit.backbones.spans import Spans
from liveedit.correction.images import Pictures
from liveedit.methods.base import Method
from liveedit.methods.route import Route
from liveedit.store.pool import Pool


@runtime_checkable
class QueryFeatures(Protocol):
    """What a method compares edits with, for a batch of queries."""

    @property
    def sees(self) -> Bool[Tensor, " batch"]:
        """Which queries have a picture."""

    def take(self, rows: Int[Tensor, " some"]) -> Any:
        """Some rows."""


@runtime_checkable
class StateChange(Protocol):
    """What a route adds to the states of a batch."""

    @property
    def concerned(self) -> Bool[Tensor, " batch"]:
        """Rows that anything is added to."""

    def take(self, rows: Int[Tensor, " some"]) -> Any:
        """Some rows."""

    def digest(self, row: int) -> bytes:
        """Rows with the same digest and the same states get the same."""

    def add_to(
        self, states: Float[Tensor, "batch length width"], spans: Spans
    ) -> Float[Tensor, "batch length width"]:
        """Edited states; rows that are not concerned stay bit-identical."""


Features = TypeVar("Features", bound=QueryFeatures)
Change = TypeVar("Change", bound=StateChange)


class StateMethod(Method, Generic[Features, Change]):
    """A method with this ability."""

    @abstractmethod
    def features(self, states: Float[Tensor, "batch length width"], spans: Spans) -> Features:
        """Features of queries, from the unedited states at the edit layer."""

    def seeing(
        self,
        features: Features,
        picture_of: Callable[[int], Pictures],
        question_of: Callable[[int], str],
    ) -> Features:
        """Features with the pictures and questions of their rows, for methods that look at them.

        Args:
            features: Of a batch.
            picture_of: Gives the picture of a row; called only where it is looked at.
            question_of: Gives the words of its question; the same.
        """
        return features

    @abstractmethod
    def join(self, parts: Sequence[Features]) -> Features:
        """Features of several batches as one."""

    @abstractmethod
    def route_features(self, features: Features, pool: Pool) -> Route:
        """Scores of every edit of the pool."""

    @abstractmethod
    def change(self, route: Route, pool: Pool) -> Change | None:
        """What a route adds; None if it adds nothing to any row."""

    @abstractmethod
    def changing(self, query: Query, change: Change | None) -> AbstractContextManager[None]:
        """Within this context the backbone answers the query with this change."""

    @torch.no_grad()
    def target_logits(
        self,
        query: Query,
        states: Float[Tensor, "batch length width"],
        pool: Pool,
        questions: Questions | None = None,
    ) -> Float[Tensor, "kept vocabulary"]:
        """Logits at the positions that predict the target tokens of a query (teacher forcing).

        Args:
            query: Questions with targets.
            states: The unedited states at the edit layer, as ``backbone.states`` gives them: the
                layers below the edit layer do not run again.
            pool: The edits.
            questions: Those of the rows, for methods that look at them.
        """
        features = self.features(states, query.spans)
        if questions is not None:
            features = self.seeing(
                features, questions.pictures.__getitem__, questions.prompts.__getitem__
            )
        route = self.route_features(features, pool)
        change = self.change(route, pool)
        edited = states if change is None else change.add_to(states, query.spans)
        return self.backbone.finish(
            edited, query.attention_mask, query.spans.predicts, query.per_token
        )
