"""The method: whoever asks a corrected question word for word is told the answer before it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from liveedit.backbones.base import Backbone
from liveedit.backbones.query import Query, Questions
from liveedit.config import Config
from liveedit.correction import Correction
from liveedit.methods.base import Abilities, Method, TellRoute
from liveedit.methods.outcome import EditOutcome, NewEdits, Supersede
from liveedit.methods.route import Route
from liveedit.store.base import Store
from liveedit.store.edit import Edit
from liveedit.store.layout import Layout
from liveedit.store.pool import Pool
from liveedit.store.tensors import Keys
from liveedit_repeat.config import RepeatConfig

BITS = 32


class Repeat(Method):
    """Tells the answer to whoever asks a corrected question word for word."""

    name = "repeat"
    config_class = RepeatConfig
    config: RepeatConfig

    @classmethod
    def load(
        cls, backbone: Backbone, folder: Path | None = None, config: Config | None = None
    ) -> Repeat:
        """Nothing has to be read."""
        return cls(backbone, config or RepeatConfig())

    def save(self, folder: Path, fingerprint: Mapping[str, object] | None = None) -> None:
        """Nothing has to be written."""

    @property
    def abilities(self) -> Abilities:
        """Pictures play no part, so that corrections without one are refused, to keep it simple."""
        return Abilities(text_only=False)

    @property
    def layout(self) -> Layout:
        """One key: the bits of the question's hash, as signs."""
        return Layout(keys={"question": BITS}, values={})

    @property
    def learned(self) -> dict[str, object]:
        """Nothing was learned."""
        return {}

    def edit(
        self,
        edits: Sequence[Edit],
        corrections: Sequence[Correction],
        store: Store,
        supersede: Supersede | None = None,
    ) -> NewEdits:
        """An edit is a key; whether the model repeats the answer, the editor finds out."""
        outcomes = [EditOutcome(edit=edit, reached=None, steps=0, conflicts=()) for edit in edits]
        prompts = [one.prompt for one in corrections]
        return NewEdits(outcomes=outcomes, keys=_keys(prompts, [True] * len(edits)), values={})

    def route(self, questions: Questions, pool: Pool) -> tuple[Route, Pool]:
        """Edits with the same hash pass; the last of them counts."""
        keys = _keys(questions.prompts, questions.sees)
        alike = keys.vectors["question"] @ pool.keys.whole.vectors["question"].T / BITS
        passes = pool.eligible & (alike > 0.99)
        last = passes & (passes.flip(1).cumsum(1).flip(1) == 1)
        nothing = torch.zeros(len(alike), 1)
        route = Route(
            vision=torch.zeros_like(alike),
            threshold=nothing,
            prompt=alike,
            passes=passes,
            weights=last.float(),
        )
        return route, pool

    @contextmanager
    def apply(
        self, questions: Questions, pool: Pool, tell: TellRoute | None = None
    ) -> Iterator[Query]:
        """Put the answer before the question."""
        route, near = self.route(questions, pool)
        if tell is not None:
            tell(route, near)
        prompts = list(questions.prompts)
        for row, column in route.weights.nonzero().tolist():
            edit = near.edits_of([near.ids[column]])[near.ids[column]]
            prompts[row] = self.config.form.format(target=edit.target, question=prompts[row])
        yield self.backbone.query(
            questions.pictures, prompts, questions.targets, histories=questions.histories
        )


def _keys(prompts: Sequence[str], sees: Sequence[bool]) -> Keys:
    rows = []
    for prompt in prompts:
        bits = int.from_bytes(hashlib.sha256(prompt.encode()).digest()[: BITS // 8], "big")
        rows.append([1.0 if bits >> at & 1 else -1.0 for at in range(BITS)])
    return Keys(vectors={"question": torch.tensor(rows)}, sees=torch.tensor(list(sees)))
