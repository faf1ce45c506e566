"""Transformer-Patcher (Huang et al., ICLR 2023, arXiv 2301.09785).

An edit is a neuron for each token of its target, added to the last feed-forward network. It is
active at its own token, and trained to be silent elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor

from liveedit.backbones.base import Backbone
from liveedit.backbones.query import Query, Questions
from liveedit.correction import Correction
from liveedit.methods.base import Abilities, TellRoute
from liveedit.methods.conflicts import settled
from liveedit.methods.outcome import EditOutcome, NewEdits, Supersede
from liveedit.methods.route import Route
from liveedit.methods.shared.feed_forward.network import FeedForward, UpperPass
from liveedit.methods.shared.feed_forward.prefill_choice import changed_as_chosen, keys_alone
from liveedit.methods.shared.same_words import BITS, WORDS, keys_of_words, same_words
from liveedit.methods.shared.untrained import UntrainedMethod
from liveedit.methods.tp.config import TpConfig
from liveedit.methods.tp.fitting import fit_neurons
from liveedit.methods.tp.memory import memory_of
from liveedit.methods.tp.neurons import Neurons, adding
from liveedit.store.base import Store
from liveedit.store.edit import Edit
from liveedit.store.layout import Layout
from liveedit.store.pool import Pool
from liveedit.store.tensors import Keys

_FIRST, _BIAS = "first", "bias"  # of the first neuron, which opens an edit


class TransformerPatcher(UntrainedMethod[TpConfig]):
    """Neurons in the last feed-forward network.

    Args:
        backbone: The frozen model.
        config: How neurons are trained.

    Raises:
        MethodCannot: The layer has no plain feed-forward network.
    """

    name = "tp"
    config_class = TpConfig
    judges_alone = True

    def __init__(self, backbone: Backbone, config: TpConfig | None = None) -> None:
        super().__init__(backbone, config)
        layer = backbone.layers - 1 if self.config.layer is None else self.config.layer
        self.network = FeedForward(backbone, layer, method=self.name)

    @property
    def abilities(self) -> Abilities:
        """Neurons know nothing of each other, so that each edit is taken back exactly."""
        return Abilities(several_pictures=True)

    @property
    def layout(self) -> Layout:
        """The first neuron as a key, what the question's words hash to, and all neurons."""
        width = self.backbone.width
        return Layout(
            keys={_FIRST: width, _BIAS: 1, WORDS: BITS},
            values={"key": (None, width), "bias": (None,), "value": (None, width)},
        )

    @property
    def learned(self) -> dict[str, object]:
        """The layer: neurons of another one mean nothing."""
        return {"layer": self.network.layer}

    @torch.no_grad()
    def edit(
        self,
        edits: Sequence[Edit],
        corrections: Sequence[Correction],
        store: Store,
        supersede: Supersede | None = None,
    ) -> NewEdits:
        """Train the neurons of each correction by themselves."""
        query = self.backbone.query(
            [one.image for one in corrections],
            [one.prompt for one in corrections],
            [one.target for one in corrections],
        )
        memory = memory_of(self.network, corrections)
        fitted = fit_neurons(UpperPass(self.network, query), memory, self.config)
        neurons, counts = fitted.neurons, fitted.counts.tolist()
        words = keys_of_words(
            [one.prompt for one in corrections], [one.image is not None for one in corrections]
        )
        keys = Keys(
            vectors={
                _FIRST: neurons.key[:, 0].cpu(), _BIAS: neurons.bias[:, :1].cpu(), **words.vectors
            },
            sees=words.sees,
        )  # fmt: skip
        pool = store.pool(namespaces=[edit.namespace for edit in edits])
        which = supersede or self.config.supersede
        edits, conflicts = settled(edits, corrections, store, pool, keys, same_words, which)
        outcomes = [
            EditOutcome(
                edit=edit,
                reached=bool(fitted.reached[at]),
                steps=int(fitted.steps[at]),
                conflicts=conflicts[at],
            )
            for at, edit in enumerate(edits)
        ]
        values = {
            name: [tensor[at, :count].cpu() for at, count in enumerate(counts)]
            for name, tensor in vars(neurons).items()
        }
        return NewEdits(outcomes=outcomes, keys=keys, values=values)

    @torch.no_grad()
    def route(self, questions: Questions, pool: Pool) -> tuple[Route, Pool]:
        """Edits whose first neuron is active at the prompt's last token, by how much it is."""
        return self._route(keys_alone(self.network, questions), pool), pool

    @contextmanager
    def apply(
        self, questions: Questions, pool: Pool, tell: TellRoute | None = None
    ) -> Iterator[Query]:
        """Add the neurons of all edits that are opened by the prefill's own pass."""
        with changed_as_chosen(
            self.network,
            questions,
            pool,
            choose=lambda last, left: self._opened(last, left, tell),
            change_by=lambda neurons, times, where: adding(neurons.repeat(times), where),
        ) as query:
            yield query

    @torch.no_grad()
    def _opened(
        self, last: Float[Tensor, "batch width"], pool: Pool, tell: TellRoute | None
    ) -> Neurons | None:
        """The neurons of each row; None if no row has any."""
        route = self._route(last, pool)
        concerned = route.weights != 0
        columns = concerned.any(0).nonzero().flatten()
        taken = pool.take(columns) if len(columns) else {}
        at = {column: place for place, column in enumerate(columns.tolist())}
        rows = [
            [
                {name: tensors[at[column]].to(last.device) for name, tensors in taken.items()}
                for column in row.nonzero().flatten().tolist()
            ]
            for row in concerned
        ]
        if tell is not None:
            tell(route, pool)
        return Neurons.of(rows, last.shape[1]) if at else None

    def _route(self, last: Float[Tensor, "batch width"], pool: Pool) -> Route:
        keys = pool.keys.whole.vectors
        excited = last.to(keys[_FIRST]) @ keys[_FIRST].T + keys[_BIAS].T
        passes = pool.eligible & (excited > 0)
        return Route(
            vision=torch.zeros_like(excited),
            threshold=excited.new_zeros(len(excited), 1),
            prompt=excited,
            passes=passes,
            weights=torch.where(passes, excited, 0.0),
        )


METHOD = TransformerPatcher
