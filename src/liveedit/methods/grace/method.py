"""GRACE (Hartvigsen et al., NeurIPS 2023, arXiv 2211.11031).

An edit is a key, what enters one feed-forward network at the last token of the prompt, and a value,
which replaces what leaves it from that token on wherever the key is the nearest and the prompt is
within its radius.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from liveedit.backbones.base import Backbone
from liveedit.backbones.query import Query, Questions
from liveedit.correction import Correction
from liveedit.methods.base import Abilities, TellRoute
from liveedit.methods.conflicts import Likeness, settled
from liveedit.methods.grace.codebook import COVERED, Codebooks, distances, nearest_within
from liveedit.methods.grace.config import GraceConfig
from liveedit.methods.grace.values import fit_values, replacing
from liveedit.methods.outcome import EditOutcome, NewEdits, Supersede
from liveedit.methods.route import Route
from liveedit.methods.shared.feed_forward.network import FeedForward, FeedForwardChange, UpperPass
from liveedit.methods.shared.feed_forward.prefill_choice import changed_as_chosen, keys_alone
from liveedit.methods.shared.same_words import BITS, WORDS, keys_of_words, same_words
from liveedit.methods.shared.untrained import UntrainedMethod
from liveedit.store.base import Store
from liveedit.store.edit import Edit
from liveedit.store.layout import Layout
from liveedit.store.pool import Pool
from liveedit.store.tensors import Keys

_STATE, _VALUE = "state", "value"
_Values: TypeAlias = tuple[Float[Tensor, "batch width"], Bool[Tensor, " batch"]]


class Grace(UntrainedMethod[GraceConfig]):
    """A codebook of activations and of what replaces them.

    Args:
        backbone: The frozen model.
        config: How keys and values are made.

    Raises:
        MethodCannot: The layer has no plain feed-forward network.
    """

    name = "grace"
    config_class = GraceConfig
    judges_alone = True

    def __init__(self, backbone: Backbone, config: GraceConfig | None = None) -> None:
        super().__init__(backbone, config)
        layer = backbone.edit_layer if self.config.layer is None else self.config.layer
        self.network = FeedForward(backbone, layer, method=self.name)
        self._codebooks = Codebooks()

    @property
    def abilities(self) -> Abilities:
        """Radii follow from the edits in force, so that each is taken back exactly."""
        return Abilities(several_pictures=True)

    @property
    def layout(self) -> Layout:
        """A key, what the question's words hash to, and a value."""
        width = self.backbone.width
        return Layout(keys={_STATE: width, WORDS: BITS}, values={_VALUE: (width,)})

    @property
    def learned(self) -> dict[str, object]:
        """The layer: keys and values of another one mean nothing."""
        return {"layer": self.network.layer}

    @torch.no_grad()
    def edit(
        self,
        edits: Sequence[Edit],
        corrections: Sequence[Correction],
        store: Store,
        supersede: Supersede | None = None,
    ) -> NewEdits:
        """Compute the keys, and fit the values."""
        questions = Questions(
            pictures=[one.image for one in corrections],
            prompts=[one.prompt for one in corrections],
            targets=[one.target for one in corrections],
        )
        words = keys_of_words(questions.prompts, questions.sees)
        keys = Keys(
            vectors={_STATE: keys_alone(self.network, questions), **words.vectors}, sees=words.sees
        )
        pool = store.pool(namespaces=[edit.namespace for edit in edits])
        which = supersede or self.config.supersede
        edits, conflicts = settled(edits, corrections, store, pool, keys, self._likeness, which)
        query = self.backbone.query(questions.pictures, questions.prompts, questions.targets)
        fitted = fit_values(UpperPass(self.network, query), self.config)
        outcomes = [
            EditOutcome(
                edit=edit,
                reached=bool(fitted.reached[at]),
                steps=int(fitted.steps[at]),
                conflicts=conflicts[at],
            )
            for at, edit in enumerate(edits)
        ]
        return NewEdits(outcomes=outcomes, keys=keys, values={_VALUE: list(fitted.values)})

    @torch.no_grad()
    def route(self, questions: Questions, pool: Pool) -> tuple[Route, Pool]:
        """The nearest key gets weight 1 if the question is within its radius."""
        return self._route(keys_alone(self.network, questions), pool), pool

    @contextmanager
    def apply(
        self, questions: Questions, pool: Pool, tell: TellRoute | None = None
    ) -> Iterator[Query]:
        """Replace what leaves the network, by keys of the prefill's own pass."""

        def change_by(chosen: _Values, times: int, where: Tensor) -> FeedForwardChange:
            values, concerned = (part.repeat_interleave(times, 0) for part in chosen)
            return replacing(values, where & concerned.to(where.device)[:, None])

        with changed_as_chosen(
            self.network,
            questions,
            pool,
            choose=lambda keys, left: self._values(keys, left, tell),
            change_by=change_by,
        ) as query:
            yield query

    @torch.no_grad()
    def _values(
        self,
        states: Float[Tensor, "batch width"],
        pool: Pool,
        tell: TellRoute | None,
    ) -> _Values | None:
        """The value of each row, and which rows have one; None if none has."""
        route = self._route(states, pool)
        concerned = (route.weights != 0).any(1)
        values = torch.zeros_like(states)
        if concerned.any():
            taken = pool.take(route.weights[concerned].argmax(1))[_VALUE]
            values[concerned.to(values.device)] = torch.stack(taken).to(values)
        if tell is not None:
            tell(route, pool)
        return (values, concerned) if concerned.any() else None

    def _route(self, states: Float[Tensor, "batch width"], pool: Pool) -> Route:
        keys = pool.keys.whole.vectors[_STATE]
        apart = distances(states.to(keys), keys)
        radius = torch.full((len(pool.eligible), len(keys)), COVERED, device=apart.device)
        for row, eligible in enumerate(pool.eligible):
            columns = eligible.nonzero().flatten()
            names = [pool.ids[column] for column in columns.tolist()]
            own = self._codebooks.radii(names, keys[columns], self.config.radius, pool.edits_of)
            radius[row, columns] = own.to(radius)
        chosen = nearest_within(apart, radius).long()
        weights = chosen[:, None] == torch.arange(len(keys), device=chosen.device)
        inside = radius.clamp(min=0.0) - apart
        return Route(
            vision=torch.zeros_like(apart),
            threshold=apart.new_zeros(len(apart), 1),
            prompt=inside,
            passes=(radius >= 0) & (inside >= 0),
            weights=weights.float(),
        )

    def _likeness(self, some: Keys, others: Keys) -> Likeness:
        """The same words ask the same; what is within a new key's radius is alike."""
        apart = distances(some.vectors[_STATE], others.vectors[_STATE])
        asked = same_words(some, others).asked
        return Likeness(similarity=1 / (1 + apart), alike=apart <= self.config.radius, asked=asked)


METHOD = Grace
