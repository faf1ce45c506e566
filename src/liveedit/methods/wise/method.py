"""WISE behind the contract of an editing method: a side memory, and when it answers.

A copy of one feed-forward matrix learns corrections, in random masks that are merged by TIES. A
question is answered with the copy if it activates it more than a share of what the least of the
edits does, and else by the model as it is (Wang et al., NeurIPS 2024).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Bool
from torch import Tensor

from liveedit.backbones.base import Backbone
from liveedit.backbones.linears import linear_path
from liveedit.backbones.query import Query, Questions
from liveedit.correction import Correction
from liveedit.methods.base import TellRoute
from liveedit.methods.route import Route
from liveedit.methods.shared.weights.target_pass import TargetPass
from liveedit.methods.shared.weights.weight_change import Changes, Values
from liveedit.methods.shared.weights.weight_method import Learned, WeightMethod
from liveedit.methods.wise.config import WiseConfig
from liveedit.methods.wise.learning import (
    UNRELATED,
    UNRELATED_OF_PICTURES,
    Asked,
    asked_at,
    learn_in,
)
from liveedit.methods.wise.memory import SideMemory, activation
from liveedit.methods.wise.merging import mask_of
from liveedit.store.layout import Shapes
from liveedit.store.pool import Pool

_DELTA, _MASK, _ACTIVATION = "delta", "mask", "activation"
_DEPTH = 0.75
Decide = Callable[[Bool[Tensor, " batch"]], None]


class Wise(WeightMethod[WiseConfig]):
    """Edits in a side memory, routed to by how much a question activates it.

    Args:
        backbone: The frozen model.
        config: How corrections are made.
    """

    name = "wise"
    config_class = WiseConfig

    def __init__(self, backbone: Backbone, config: WiseConfig | None = None) -> None:
        super().__init__(backbone, config)
        self._unrelated: Asked | None = None

    @property
    def learned(self) -> dict[str, object]:
        """Which module has the side memory, and what its edits are read with."""
        config = self.config
        masks = f"{config.density}, {config.per_mask} x {config.masks}, {config.trim}"
        return super().learned | {"masks": masks}

    @property
    def path(self) -> str:
        """The module with the side memory."""
        return self.paths[0]

    @property
    def rows(self) -> int:
        """Numbers that a mask lets through."""
        high, wide = self.sizes(self.path)
        return round(high * wide * self.config.density)

    def find_paths(self) -> Sequence[str]:
        """The down-projection of the chosen layer."""
        layer = self.config.layer
        if layer is None:
            layer = min(round(self.backbone.layers * _DEPTH), self.backbone.layers - 1)
        path = linear_path(self.backbone, self.chosen_layer(layer), "down")
        if path is None:
            raise self.cannot_edit("feed-forward network with one down-projection")
        return [path]

    def value_shapes(self) -> Shapes:
        """What was learned, the number of its mask, and how much its question activates it."""
        return {_DELTA: (None,), _MASK: (1,), _ACTIVATION: (1,)}

    def plus(self, changes: Changes, values: Values) -> Changes:
        """The side memory with one edit more."""
        shape = self.sizes(self.path)
        change, number = torch.zeros(shape), int(values[_MASK])
        mask = mask_of(number, shape, self.config.density)
        change[mask] = values[_DELTA].float().cpu()
        before = self._memory(changes) or self._empty()
        change = change.to(self.backbone.edit_device)
        return {self.path: before.plus(change, number, float(values[_ACTIVATION]), self.config)}

    def learn(
        self, target: TargetPass, correction: Correction, before: Changes, count: int
    ) -> Learned:
        """Learn in the mask that is next; what the edit activates is measured afterwards."""
        del count  # of how many edits `before` is: masks count their own
        memory = self._memory(before) or self._empty()
        number = memory.next_mask(self.config)
        mask = mask_of(number, self.sizes(self.path), self.config.density)
        own = asked_at(self.backbone, target.query, self.path)
        change, steps = learn_in(
            mask.to(own.inputs.device),
            memory.weight.to(own.inputs.device),
            target,
            own,
            self._others(correction),
            self.path,
            self.config,
        )
        values = {
            _DELTA: change.cpu()[mask].half(),
            _MASK: torch.tensor([float(number)]),
            _ACTIVATION: torch.zeros(1),
        }
        after = self._memory(self.plus(before, values))
        assert after is not None
        values[_ACTIVATION] = own.activate(after.weight.to(own.inputs.device)).cpu()
        return Learned(values=values, steps=steps)

    def right(self, target: TargetPass, changes: Changes) -> bool:
        """Whether the side memory knows the target, and answers its question."""
        memory = self._memory(changes)
        if memory is None:
            return super().right(target, changes)
        own = asked_at(self.backbone, target.query, self.path)
        reached = bool(own.activate(memory.weight.to(own.inputs.device)) > self._least(memory))
        return super().right(target, changes if reached else {})

    @torch.no_grad()
    def route(self, questions: Questions, pool: Pool) -> tuple[Route, Pool]:
        """All edits in force if the side memory answers, else none."""
        query = self.backbone.query(
            questions.pictures, questions.prompts, histories=questions.histories
        )
        asked = asked_at(self.backbone, query, self.path)
        found = torch.zeros(len(questions.prompts))
        least = torch.full_like(found, float("inf"))
        for rows, changes in self.rows_of(pool, len(questions.prompts)):
            memory = self._memory(changes)
            assert memory is not None
            some = Asked(inputs=asked.inputs[list(rows)], mask=asked.mask[list(rows)])
            found[list(rows)] = some.activate(memory.weight.to(asked.inputs.device)).cpu()
            least[list(rows)] = self._least(memory)
        return self._route(pool, found, least), pool

    @contextmanager
    def apply(
        self, questions: Questions, pool: Pool, tell: TellRoute | None = None
    ) -> Iterator[Query]:
        """Decide when the question has been read; what follows is answered alike."""
        query = self.backbone.query(
            questions.pictures,
            questions.prompts,
            questions.targets,
            histories=questions.histories,
        )
        batch = len(questions.prompts)
        found, least = torch.zeros(batch), torch.full((batch,), float("inf"))
        parts = self.rows_of(pool, batch)
        decided = False

        def change(inputs: Tensor, output: Tensor) -> Tensor | None:
            nonlocal decided
            taken = inputs.reshape(batch, -1, inputs.shape[-1])
            if not decided:
                asked = query.spans.prompt
                asked = asked.repeat(1, taken.shape[1] // asked.shape[1])  # of beams
                for rows, changes in parts:
                    own, memory = list(rows), self._memory(changes)
                    assert memory is not None
                    weight = memory.weight.to(taken.device)
                    found[own] = activation(taken[own], asked[own], weight).cpu()
                    least[own] = self._least(memory)
                decided = True
                if tell is not None:
                    tell(self._route(pool, found, least), pool)
            answers = found > least
            if not answers.any():
                return None
            given = output.reshape(batch, -1, output.shape[-1]).clone()
            for rows, changes in parts:
                own = [row for row in rows if answers[row]]
                if own:
                    more = changes[self.path].added(taken[own])
                    given[own] = given[own] + more.to(output.dtype)
            return given.reshape(output.shape)

        if not parts:
            yield query
            return
        with self.backbone.module_hooks.changing({self.path: change}):
            yield query

    def _route(self, pool: Pool, found: Tensor, least: Tensor) -> Route:
        eligible = pool.eligible.expand(len(found), -1).cpu()
        passes = eligible & (found > least)[:, None]
        return Route(
            vision=torch.zeros(eligible.shape),
            threshold=torch.zeros(len(found), 1),
            prompt=(found - least)[:, None].expand(eligible.shape).nan_to_num(neginf=-1e9),
            passes=passes,
            weights=passes.float(),
        )

    def _memory(self, changes: Changes) -> SideMemory | None:
        memory = changes.get(self.path)
        assert memory is None or isinstance(memory, SideMemory)
        return memory

    def _empty(self) -> SideMemory:
        return SideMemory.empty(self.sizes(self.path), self.backbone.edit_device)

    def _least(self, memory: SideMemory) -> float:
        """What a question must activate the side memory."""
        return self.config.ratio * memory.least

    def _others(self, correction: Correction) -> list[Asked]:
        """Unrelated questions, also about the picture of a correction."""
        if self._unrelated is None:
            texts = self.backbone.query([None] * len(UNRELATED), UNRELATED)
            self._unrelated = asked_at(self.backbone, texts, self.path)
        if correction.image is None:
            return [self._unrelated]
        pictures = [correction.image] * len(UNRELATED_OF_PICTURES)
        seen = self.backbone.query(pictures, UNRELATED_OF_PICTURES)
        return [self._unrelated, asked_at(self.backbone, seen, self.path)]


METHOD = Wise
