"""LEMoE (Wang and Li, EMNLP 2024, arXiv 2406.20030).

Each batch of edits has an expert, a small feed-forward network beside that of one layer, which is
frozen when the batch is full. A question goes to the expert with the nearest of its clustered keys,
or to none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Bool, Float, Int
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from liveedit.backbones.base import Backbone
from liveedit.backbones.query import Query, Questions
from liveedit.backbones.spans import Spans
from liveedit.correction import Correction
from liveedit.methods.base import Abilities, TellRoute
from liveedit.methods.conflicts import settled
from liveedit.methods.lemoe.batches import (
    EXPERT,
    STATE,
    Member,
    alike_rows,
    members_of,
    next_expert,
)
from liveedit.methods.lemoe.config import LemoeConfig
from liveedit.methods.lemoe.experts import Expert, adding, entering, learn, new_expert
from liveedit.methods.lemoe.routing import Clusters, KnownClusters, clusters_of
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

_READS, _WRITES, _ENTERED = "reads", "writes", "entered"
# what keys are compared from
_ANCHORS = (
    "What is this?", "Describe it.", "How many are there?", "What colour is it?", "Where is it?",
    "Who made it?", "When was it?", "Why is it so?",
)  # fmt: skip
_GREY = Image.new("RGB", (64, 64), (127, 127, 127))


class Lemoe(UntrainedMethod[LemoeConfig]):
    """Experts that are frozen when their batch of edits is full.

    Args:
        backbone: The frozen model.
        config: How experts are learned, and which questions they answer.

    Raises:
        MethodCannot: The layer has no plain feed-forward network.
    """

    name = "lemoe"
    config_class = LemoeConfig
    replays = True

    def __init__(self, backbone: Backbone, config: LemoeConfig | None = None) -> None:
        super().__init__(backbone, config)
        layer = self.config.layer
        if layer is None:
            layer = max(backbone.layers - 2, 0)
        self.network = FeedForward(backbone, layer, method=self.name)
        self._clusters = KnownClusters()
        self._centres: Float[Tensor, "kinds width"] | None = None

    @property
    def abilities(self) -> Abilities:
        """Edits that share an expert build on each other; one that has its own stands alone."""
        return Abilities(several_pictures=True, revoke="exact" if self._alone else "replay")

    @property
    def layout(self) -> Layout:
        """A key, the expert's number and its weights, and what enters it at the target."""
        width, rank = self.backbone.width, self.config.rank
        return Layout(
            keys={STATE: width, EXPERT: 1, WORDS: BITS},
            values={_READS: (rank, width), _WRITES: (rank, width), _ENTERED: (None, width)},
        )

    @property
    def learned(self) -> dict[str, object]:
        """The layer, and how many share an expert."""
        return {"layer": self.network.layer, "per_expert": self.config.per_expert}

    @torch.no_grad()
    def edit(
        self,
        edits: Sequence[Edit],
        corrections: Sequence[Correction],
        store: Store,
        supersede: Supersede | None = None,
    ) -> NewEdits:
        """Learn one correction after the other, in the expert whose batch is not full yet."""
        questions = Questions(
            pictures=[one.image for one in corrections],
            prompts=[one.prompt for one in corrections],
        )
        words = keys_of_words(questions.prompts, questions.sees)
        states = self._states(questions).cpu()
        pool = store.pool(namespaces=[edit.namespace for edit in edits])
        which = supersede or self.config.supersede
        keys = Keys(
            vectors={STATE: states, EXPERT: torch.zeros(len(edits), 1), **words.vectors},
            sees=words.sees,
        )
        edits, conflicts = settled(edits, corrections, store, pool, keys, same_words, which)
        in_force: dict[str, list[Member]] = {}
        for row, edit in enumerate(edits):
            if edit.namespace not in in_force:
                in_force[edit.namespace] = members_of(pool, row, self._numbers(pool))
        made: dict[str, dict[str, Tensor]] = {}
        numbers, steps, passes = [], [], []
        for at, edit in enumerate(edits):
            members = [one for one in in_force[edit.namespace] if one.id not in edit.supersedes]
            number, shared = next_expert(members, self.config.per_expert)
            if self._alone:
                number = len(pool.keys) + at
            batch = UpperPass(
                self.network,
                self.backbone.query([corrections[at].image], [edit.prompt], [edit.target]),
            )
            expert, taken, entered = self._learned(batch, number, self._values(shared, pool, made))
            made[edit.id] = {
                _READS: expert.reads.half().cpu(), _WRITES: expert.writes.half().cpu(),
                _ENTERED: entered.half().cpu(),
            }  # fmt: skip
            member = Member(id=edit.id, key=states[at], sees=bool(words.sees[at]), number=number)
            in_force[edit.namespace] = [*members, member]
            numbers.append(float(number))
            steps.append(taken)
            passes.append(batch)
        outcomes = [
            EditOutcome(
                edit=edit,
                reached=self._reached(passes[at], edit.id, in_force[edit.namespace], pool, made),
                steps=steps[at],
                conflicts=conflicts[at],
            )
            for at, edit in enumerate(edits)
        ]
        keys = Keys(
            vectors={**keys.vectors, EXPERT: torch.tensor(numbers)[:, None]}, sees=words.sees
        )
        values = {name: [made[edit.id][name] for edit in edits] for name in self.layout.values}
        return NewEdits(outcomes=outcomes, keys=keys, values=values)

    @torch.no_grad()
    def route(self, questions: Questions, pool: Pool) -> tuple[Route, Pool]:
        """Of the expert that a question goes to, the edit with the nearest key stands for it."""
        sees = torch.tensor(questions.sees)
        return self._route(self._states(questions), sees, pool)[0], pool

    @contextmanager
    def apply(
        self, questions: Questions, pool: Pool, tell: TellRoute | None = None
    ) -> Iterator[Query]:
        """Add the expert that the prefill's own pass chooses, at the answer's tokens."""
        sees = torch.tensor(questions.sees)

        def change_by(chosen: list[Expert | None], times: int, where: Tensor) -> FeedForwardChange:
            return adding([one for one in chosen for _ in range(times)], where)

        with changed_as_chosen(
            self.network,
            questions,
            pool,
            choose=lambda states, left: self._experts(states, sees, left, tell),
            change_by=change_by,
            read=lambda entered, spans: self._keys(entered, spans, sees),
        ) as query:
            yield query

    @property
    def _alone(self) -> bool:
        """Whether each edit has an expert of its own; its number then means nothing."""
        return self.config.per_expert == 1

    def _numbers(self, pool: Pool) -> Int[Tensor, " edits"]:
        """The number of each edit's expert."""
        stored = pool.keys.whole.vectors[EXPERT][:, 0].long()
        return torch.arange(len(stored), device=stored.device) if self._alone else stored

    def _learned(
        self, batch: UpperPass, number: int, shared: Sequence[Mapping[str, Tensor]]
    ) -> tuple[Expert, int, Float[Tensor, "tokens width"]]:
        """An expert with one edit more, the steps, and what enters it at the edit's target."""
        width = self.backbone.width
        expert = new_expert(self.config.rank, width, 0 if self._alone else number)
        if shared:
            expert = _expert_of(shared[-1])
        others = torch.cat(
            [torch.zeros(0, width), *(one[_ENTERED].float().cpu() for one in shared)]
        )
        entered = entering(batch)
        expert, steps = learn(expert, batch, batch.where, others, self.config)
        return expert, steps, entered

    def _reached(
        self,
        batch: UpperPass,
        name: str,
        members: Sequence[Member],
        pool: Pool,
        made: Mapping[str, Mapping[str, Tensor]],
    ) -> bool | None:
        """Whether a question goes to its own expert, and that gives the target by now."""
        own = next((one for one in members if one.id == name), None)
        if own is None:  # superseded by a later one of its batch
            return None
        keys = torch.stack([one.key for one in members])
        numbers = torch.tensor([one.number for one in members])
        sees = torch.tensor([one.sees for one in members])
        found = clusters_of(keys, numbers, sees, self.config.clusters)
        asked = found.nearest(own.key[None], torch.tensor([own.sees]), self.config.scope)
        if int(asked) != own.number:
            return False
        last = [one.id for one in members if one.number == own.number][-1:]
        expert = _expert_of(self._values(last, pool, made)[0])
        logits = batch.logits(adding([expert], batch.where))
        return bool((logits.argmax(-1) == batch.words.to(logits.device)).all())

    def _values(
        self, names: Sequence[str], pool: Pool, made: Mapping[str, Mapping[str, Tensor]]
    ) -> list[Mapping[str, Tensor]]:
        """Tensors of some edits, of the store or just made."""
        old = [name for name in names if name not in made]
        place = {name: at for at, name in enumerate(pool.ids[: len(pool.keys)])}
        taken = pool.take(torch.tensor([place[name] for name in old])) if old else {}
        read = {
            name: {part: tensors[at] for part, tensors in taken.items()}
            for at, name in enumerate(old)
        }
        return [made[name] if name in made else read[name] for name in names]

    def _states(self, questions: Questions) -> Float[Tensor, "batch width"]:
        """Keys of questions, asked alone."""
        sees = torch.tensor(questions.sees)
        return keys_alone(
            self.network, questions, lambda entered, spans: self._keys(entered, spans, sees)
        )

    def _keys(
        self,
        entered: Float[Tensor, "batch length width"],
        spans: Spans,
        sees: Bool[Tensor, " batch"],
    ) -> Float[Tensor, "batch width"]:
        """What enters the network, averaged over the question, as seen from the anchor."""
        if self._centres is None:
            self._centres = torch.stack([self._anchor(None), self._anchor(_GREY)])
        keys = mean_of(entered, spans.prompt)
        return F.normalize(keys - self._centres.to(keys)[sees.long().to(keys.device)], dim=1)

    def _anchor(self, picture: Image.Image | None) -> Float[Tensor, " width"]:
        """The mean key of general questions."""
        query = self.backbone.query([picture] * len(_ANCHORS), _ANCHORS)
        return mean_of(self.network.entering(query), query.spans.prompt).mean(0)

    def _route(
        self, states: Float[Tensor, "batch width"], sees: Bool[Tensor, " batch"], pool: Pool
    ) -> tuple[Route, Int[Tensor, "batch edits"]]:
        """The route, and for each row the numbers of experts, -1 where an edit's is not chosen."""
        keys = pool.keys.whole
        own = keys.vectors[STATE]
        numbers = self._numbers(pool)
        cosines = states.to(own) @ own.T
        passes = torch.zeros(cosines.shape, dtype=torch.bool, device=cosines.device)
        for rows, eligible in alike_rows(pool.eligible, len(states)):
            columns = eligible.nonzero().flatten()
            names = [pool.ids[column] for column in columns.tolist()]
            found: Clusters = self._clusters.of(
                names, own[columns], numbers[columns], keys.sees[columns], self.config.clusters
            )
            chosen = found.nearest(
                states[rows].to(own), sees[rows].to(own.device), self.config.scope
            )
            passes[rows] = eligible & (numbers == chosen[:, None])
        alike = sees.to(own.device)[:, None] == keys.sees
        weights = torch.zeros_like(cosines)
        if cosines.shape[1]:
            nearest = cosines.masked_fill(~(passes & alike), -2.0).argmax(1, keepdim=True)
            weights.scatter_(1, nearest, passes.any(1, keepdim=True).to(weights))
        route = Route(
            vision=torch.zeros_like(cosines),
            threshold=cosines.new_zeros(len(cosines), 1),
            prompt=cosines - self.config.scope,
            passes=passes,
            weights=weights,
        )
        return route, torch.where(passes, numbers, -1)

    @torch.no_grad()
    def _experts(
        self,
        states: Float[Tensor, "batch width"],
        sees: Bool[Tensor, " batch"],
        pool: Pool,
        tell: TellRoute | None,
    ) -> list[Expert | None] | None:
        """The expert of each row, as its last edit has left it; None if no row has one."""
        route, numbers = self._route(states, sees, pool)
        concerned = route.weights.any(1)
        last = [int(row.nonzero().max()) if one else -1 for row, one in zip(
            numbers >= 0, concerned.tolist(), strict=True)]  # fmt: skip
        columns = sorted({column for column in last if column >= 0})
        experts: dict[int, Expert] = {}
        if columns:
            taken = pool.take(torch.tensor(columns))
            for at, column in enumerate(columns):
                tensors = {name: some[at] for name, some in taken.items()}
                experts[column] = _expert_of(tensors)
        if tell is not None:
            tell(route, pool)
        return [experts.get(column) for column in last] if experts else None


def mean_of(
    entered: Float[Tensor, "batch length width"], which: Bool[Tensor, "batch length"]
) -> Float[Tensor, "batch width"]:
    """Means over some tokens, in float32."""
    mask = which.to(entered.device)[..., None].float()
    return (entered.float() * mask).sum(1) / mask.sum(1).clamp(min=1.0)


def _expert_of(values: Mapping[str, Tensor]) -> Expert:
    return Expert(reads=values[_READS].float(), writes=values[_WRITES].float())


METHOD = Lemoe
