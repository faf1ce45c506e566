"""What methods share that change linear modules: an edit's change is added to those before it.

No weight is touched: within :meth:`WeightMethod.apply` what the edits in force add up to is added
to what the modules give, in this thread or task alone. It holds for every question, whatever it is
about; that is what these methods are known for. A past revision, another namespace or an edit that
was superseded has another sum.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from liveedit.backbones.base import Backbone
from liveedit.backbones.linears import linear_sizes
from liveedit.backbones.query import Query, Questions
from liveedit.config import Config
from liveedit.correction import Correction
from liveedit.errors import MethodCannot
from liveedit.methods.base import Abilities, TellRoute
from liveedit.methods.conflicts import settled
from liveedit.methods.outcome import EditOutcome, NewEdits, Supersede
from liveedit.methods.route import Route
from liveedit.methods.shared.same_words import BITS, WORDS, keys_of_words, same_words
from liveedit.methods.shared.untrained import UntrainedMethod
from liveedit.methods.shared.weights.target_pass import TargetPass
from liveedit.methods.shared.weights.weight_change import Changes, SumCache, Values, in_rows
from liveedit.store.base import Store
from liveedit.store.edit import Edit
from liveedit.store.layout import Layout, Shapes
from liveedit.store.pool import Pool


class WeightConfig(Config):
    """Settings that all of them have.

    Args:
        supersede: Which earlier edits a correction puts out of force: those with the ``same``
            picture and question (``alike`` ones are not known), or ``never`` any. What is out of
            force is taken off the sum; what was learned on top of it stays as it is.
    """

    supersede: Supersede = "same"


C = TypeVar("C", bound=WeightConfig)


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What came of a correction.

    Args:
        values: The edit's tensors, as they are stored.
        steps: Gradient steps that took.
    """

    values: dict[str, Tensor]
    steps: int


class WeightMethod(UntrainedMethod[C]):
    """A method whose edits are changes of linear modules that add up.

    Args:
        backbone: The frozen model.
        config: How corrections are made.

    Attributes:
        paths: The modules that are changed, by their paths under the decoder.

    Raises:
        MethodCannot: The model has no such modules.
    """

    replays = True

    def __init__(self, backbone: Backbone, config: C | None = None) -> None:
        super().__init__(backbone, config)
        self.paths = tuple(self.find_paths())
        self.sums = SumCache(self.plus)

    @property
    def abilities(self) -> Abilities:
        """An edit is made on top of those before it, so that taking one back makes others again."""
        return Abilities(several_pictures=True, revoke="replay")

    @property
    def layout(self) -> Layout:
        """A key of the question's words, to know corrections that contradict each other."""
        return Layout(keys={WORDS: BITS}, values=self.value_shapes())

    @property
    def learned(self) -> dict[str, object]:
        """Which modules are changed."""
        return {"modules": ", ".join(self.paths)}

    @abstractmethod
    def find_paths(self) -> Sequence[str]:
        """The modules that are changed.

        Raises:
            MethodCannot: The model has none.
        """

    @abstractmethod
    def value_shapes(self) -> Shapes:
        """Shapes of an edit's tensors."""

    @abstractmethod
    def plus(self, changes: Changes, values: Values) -> Changes:
        """What is in force with one edit more; pure."""

    @abstractmethod
    def learn(
        self, target: TargetPass, correction: Correction, before: Changes, count: int
    ) -> Learned:
        """Make an edit on top of what is in force.

        Args:
            target: Of the correction alone.
            correction: As it was stated.
            before: What is in force.
            count: Of how many edits that is.
        """

    def right(self, target: TargetPass, changes: Changes) -> bool:
        """Whether a correction's target is reached with some changes."""
        return target.right(changes)[0]

    @property
    def rows(self) -> int:
        """Of the tensors whose number of rows is open: how many an edit has, as a rule."""
        return 1

    @property
    def lowest(self) -> int:
        """Index of the lowest layer that is changed."""
        return min(int(path.split(".")[1]) for path in self.paths)

    def sizes(self, path: str) -> tuple[int, int]:
        """How many numbers a module gives, and how many it takes."""
        return linear_sizes(self.backbone, path)

    def cannot_edit(self, lacks: str) -> MethodCannot:
        """Why this model cannot be edited."""
        return no_modules(self.name, self.backbone, lacks)

    def chosen_layer(self, layer: int | None) -> int:
        """The layer of a setting, the last by default.

        Raises:
            ValueError: There is no such layer.
        """
        last = self.backbone.layers - 1
        if layer is None:
            return last
        if not 0 <= layer <= last:
            raise ValueError(f"there is no decoder layer {layer}; give one of 0 to {last}")
        return layer

    def edit(
        self,
        edits: Sequence[Edit],
        corrections: Sequence[Correction],
        store: Store,
        supersede: Supersede | None = None,
    ) -> NewEdits:
        """Learn one correction after the other, each on top of what is in force in its set."""
        keys = keys_of_words(
            [one.prompt for one in corrections], [one.image is not None for one in corrections]
        )
        pool = store.pool(namespaces=[edit.namespace for edit in edits])
        which = supersede or self.config.supersede
        edits, conflicts = settled(edits, corrections, store, pool, keys, same_words, which)
        in_force = {edit.namespace: ids_in_force(pool, row) for row, edit in enumerate(edits)}
        made: dict[str, Values] = {}

        def read(ids: Sequence[str]) -> list[Values]:
            return [made[one] if one in made else values_of(pool, [one])[0] for one in ids]

        passes, learned, right = [], [], []
        for edit, correction in zip(edits, corrections, strict=True):
            ids = [one for one in in_force[edit.namespace] if one not in edit.supersedes]
            query = self.backbone.query([correction.image], [correction.prompt], [edit.target])
            target = TargetPass(self.backbone, query, self.lowest)
            one = self.learn(target, correction, self.sums.of(ids, read), len(ids))
            made[edit.id] = one.values
            in_force[edit.namespace] = [*ids, edit.id]
            passes.append(target)
            learned.append(one)
            right.append(self.right(target, self.sums.of(in_force[edit.namespace], read)))
        for at, edit in enumerate(edits[:-1]):  # later ones of the batch may have undone it
            if edit.id in (ids := in_force[edit.namespace]) and ids[-1] != edit.id:
                right[at] = self.right(passes[at], self.sums.of(ids, read))
        outcomes = [
            EditOutcome(edit=edit, reached=right[at], steps=one.steps, conflicts=conflicts[at])
            for at, (edit, one) in enumerate(zip(edits, learned, strict=True))
        ]
        values = {name: [one.values[name] for one in learned] for name in self.layout.values}
        return NewEdits(outcomes=outcomes, keys=keys, values=values)

    @torch.no_grad()
    def route(self, questions: Questions, pool: Pool) -> tuple[Route, Pool]:
        """Every edit in force concerns every question."""
        rows = len(questions.prompts)
        passes = pool.eligible.expand(rows, -1)
        nothing = torch.zeros(passes.shape, device=passes.device)
        route = Route(
            vision=nothing,
            threshold=nothing.new_zeros(rows, 1),
            prompt=nothing,
            passes=passes,
            weights=passes.float(),
        )
        return route, pool

    @contextmanager
    def apply(
        self, questions: Questions, pool: Pool, tell: TellRoute | None = None
    ) -> Iterator[Query]:
        """Add the sum of what is in force to the modules' outputs."""
        if tell is not None:
            tell(*self.route(questions, pool))
        query = self.backbone.query(
            questions.pictures,
            questions.prompts,
            questions.targets,
            histories=questions.histories,
        )
        with self.changing(query, self.rows_of(pool, len(questions.prompts))):
            yield query

    @contextmanager
    def changing(
        self, query: Query, parts: Sequence[tuple[Sequence[int], Changes]]
    ) -> Iterator[None]:
        """Within this context the modules give rows of a query what some changes add."""
        with self.backbone.module_hooks.changing(in_rows(parts, len(query.input_ids))):
            yield

    def rows_of(self, pool: Pool, rows: int) -> list[tuple[Sequence[int], Changes]]:
        """Rows of a batch that have the same edits in force, and what these add together."""
        alike: dict[tuple[str, ...], list[int]] = {}
        for row in range(rows):
            alike.setdefault(tuple(ids_in_force(pool, row)), []).append(row)
        return [
            (some, self.sums.of(ids, lambda few: values_of(pool, few)))
            for ids, some in alike.items()
            if ids
        ]

    def describe(self) -> dict[str, Any]:
        """Settings, the modules that are changed, and what an edit takes."""
        takes = self.layout.bytes_of(self.rows)
        return super().describe() | {"modules": list(self.paths), "bytes_per_edit": takes}


def no_modules(method: str, backbone: Backbone, lacks: str) -> MethodCannot:
    """Why a model cannot be edited by a method."""
    return MethodCannot(
        method,
        f"edit {backbone.name}, whose layers have no {lacks}",
        instead="take a method that changes hidden states, such as liveedit",
    )


def ids_in_force(pool: Pool, row: int) -> list[str]:
    """Names of the edits that a row of a batch may be answered with, oldest first."""
    eligible = pool.eligible[row if len(pool.eligible) > 1 else 0]
    return [pool.ids[at] for at in eligible.nonzero().flatten().tolist()]


def values_of(pool: Pool, ids: Sequence[str]) -> list[Values]:
    """Tensors of some edits of a pool."""
    place = {name: at for at, name in enumerate(pool.ids[: len(pool.keys)])}
    taken = pool.take(torch.tensor([place[one] for one in ids]))
    return [{name: tensors[at] for name, tensors in taken.items()} for at in range(len(ids))]
