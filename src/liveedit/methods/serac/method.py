"""SERAC (Mitchell et al., ICML 2022, arXiv 2206.06520).

Corrections are kept in a memory. A classifier decides whether a question is in the scope of one;
then a small counterfactual model answers, which was trained to read corrections, in place of the
backbone. Elsewhere the backbone answers as ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from liveedit.backbones.base import Backbone
from liveedit.backbones.picture_features import encode_pictures
from liveedit.backbones.query import Query, Questions
from liveedit.correction import Correction
from liveedit.errors import UnsupportedGeneration
from liveedit.methods.base import Abilities, TellRoute
from liveedit.methods.conflicts import Likeness, settled
from liveedit.methods.outcome import EditOutcome, NewEdits, Supersede
from liveedit.methods.route import Route
from liveedit.methods.serac.config import SeracConfig, SeracTraining
from liveedit.methods.serac.counterfactual import Pointed
from liveedit.methods.serac.network import SeracNetwork, answer_rows, train_network
from liveedit.methods.shared.feed_forward.passes import Passes, answering
from liveedit.methods.shared.memory.keys import cosines
from liveedit.methods.shared.sentence_encoder import encode_questions
from liveedit.methods.shared.training.examples import Example
from liveedit.methods.shared.training.kept_steps import KeptSteps
from liveedit.methods.shared.training.trained_method import TrainedMethod
from liveedit.store.base import Store
from liveedit.store.edit import Edit
from liveedit.store.layout import Layout
from liveedit.store.pool import Pool
from liveedit.store.tensors import Keys


class Serac(TrainedMethod[SeracNetwork, SeracTraining, SeracConfig]):
    """A memory, a scope, and a counterfactual model.

    Args:
        backbone: The frozen model.
        network: What was trained for it.
        training: How, its sizes among them.
        config: When an edit answers.
    """

    name = "serac"
    config_class = SeracConfig
    judges_alone = True
    training_class = SeracTraining

    @classmethod
    def new_network(cls, backbone: Backbone, training: SeracTraining) -> SeracNetwork:
        """Classifier and counterfactual model."""
        return SeracNetwork.of(backbone, training)

    @classmethod
    def train(
        cls,
        backbone: Backbone,
        examples: Sequence[Example],
        training: SeracTraining,
        *,
        seed: int,
        kept: KeptSteps,
    ) -> SeracNetwork:
        """Train both."""
        return train_network(backbone, examples, training, seed=seed, kept=kept)

    @property
    def abilities(self) -> Abilities:
        """Edits are text, so that each is taken back exactly."""
        return Abilities(several_pictures=True, trained=True)

    @property
    def layout(self) -> Layout:
        """Two keys, and no further tensor."""
        return Layout(keys={"vision": self.training.key, "prompt": self.training.key}, values={})

    @torch.no_grad()
    def edit(
        self,
        edits: Sequence[Edit],
        corrections: Sequence[Correction],
        store: Store,
        supersede: Supersede | None = None,
    ) -> NewEdits:
        """Compute the keys, and see whether the counterfactual model gives the targets."""
        asked = Questions(
            pictures=[one.image for one in corrections],
            prompts=[one.prompt for one in corrections],
        )
        keys = self._keys(asked)
        pool = store.pool(namespaces=[edit.namespace for edit in edits]).near(keys)
        which = supersede or self.config.supersede
        edits, conflicts = settled(edits, corrections, store, pool, keys, self._likeness, which)
        pointed = self._answers([(edit, edit.prompt) for edit in edits])
        outcomes = []
        for at, edit in enumerate(edits):
            wanted = torch.tensor(self.backbone.target_ids(edit.target))
            said = pointed.ids[at, pointed.weights[at, : len(wanted)].argmax(-1)].cpu()
            outcomes.append(
                EditOutcome(
                    edit=edit,
                    reached=bool((said == wanted).all()),
                    steps=0,
                    conflicts=conflicts[at],
                )
            )
        return NewEdits(outcomes=outcomes, keys=keys, values={})

    @torch.no_grad()
    def route(self, questions: Questions, pool: Pool) -> tuple[Route, Pool]:
        """The edit with the most probable scope gets that as its weight, if it is above `scope`."""
        queries = self._keys(questions)
        near = pool.near(queries)
        edits = near.keys.whole
        vision, prompt = self.network.scope.logits(queries, edits)
        probable = self.network.scope.log_scope(queries, edits).exp()
        passes = near.eligible & (probable > self.config.scope)
        probable = torch.where(passes, probable, 0.0)
        weights = torch.zeros_like(probable)
        if passes.any():
            best = probable.argmax(1, keepdim=True)
            weights.scatter_(1, best, probable.gather(1, best))
        route = Route(
            vision=vision,
            threshold=vision.new_zeros(len(vision), 1),
            prompt=prompt,
            passes=passes,
            weights=weights,
        )
        return route, near

    @contextmanager
    def apply(
        self, questions: Questions, pool: Pool, tell: TellRoute | None = None
    ) -> Iterator[Query]:
        """The counterfactual model's logits instead of the backbone's, in scope, for the answer."""
        route, near = self.route(questions.alone, pool)
        if tell is not None:
            tell(route, near)
        query = self.backbone.query(
            questions.pictures, questions.prompts, questions.targets, histories=questions.histories
        )
        concerned = route.weights.any(1).nonzero().flatten().tolist()
        if not concerned:
            yield query
            return
        names = [near.ids[column] for column in route.weights[concerned].argmax(1).tolist()]
        edits = near.edits_of(list(dict.fromkeys(names)))
        with torch.no_grad():
            pointed = self._answers(
                [
                    (edits[name], questions.prompts[row])
                    for row, name in zip(concerned, names, strict=True)
                ]
            )
        with self._answering(query, pointed, concerned):
            yield query

    @contextmanager
    def _answering(
        self, query: Query, pointed: Pointed, concerned: Sequence[int]
    ) -> Iterator[None]:
        """Within this context the head says what was pointed at, in some rows."""
        passes, last = Passes(query.spans), answering(query.spans).float().argmax(1).tolist()
        now: list[tuple[int, int]] = [(0, 0)]  # of the running pass: its first place, its length

        def begin(_inputs: Tensor, hidden: Tensor) -> None:
            begun, length = passes.begun, hidden.shape[1]
            passes.times(hidden)
            before, more = now[0]
            if not begun or length >= passes.length:  # the whole sequence
                now[0] = (0, length)
            elif length == 1:
                now[0] = (before + more, 1)
            else:
                raise UnsupportedGeneration(
                    "serac answers token by token; do not pass an assistant_model or "
                    "prompt_lookup_num_tokens"
                )

        def say(_hidden: Tensor, logits: Tensor) -> Tensor:
            first, length = now[0]
            times = logits.shape[0] // passes.rows
            changed = logits.clone()
            start = first + length - logits.shape[1]  # of the positions that the head was given
            for at, row in enumerate(concerned):
                skipped = max(last[row] - start, 0)
                places = torch.arange(skipped, logits.shape[1], device=pointed.ids.device)
                places = places + start - last[row]
                if len(places):
                    own = pointed.logits(at, places, logits.shape[-1]).to(logits)
                    changed[row * times : (row + 1) * times, skipped:] = own
            return changed

        hooks = self.backbone.module_hooks.changing({"layers.0": begin})
        with hooks, self.backbone.model_hooks.changing({self._head: say}):
            yield

    @property
    def _head(self) -> str:
        """Path of the output embeddings inside the model."""
        head = self.backbone.model.get_output_embeddings()
        return next(name for name, module in self.backbone.model.named_modules() if module is head)

    def _answers(self, rows: Sequence[tuple[Edit, str]]) -> Pointed:
        """What is said to questions in the scope of edits."""
        told = [
            (edit.prompt, self.backbone.target_ids(edit.target), question)
            for edit, question in rows
        ]
        return answer_rows(self.network, self.backbone, told)

    def _keys(self, questions: Questions) -> Keys:
        device = self.backbone.edit_device
        return self.network.scope.keys(
            encode_pictures(self.backbone, questions.pictures).to(device),
            encode_questions(questions.prompts).to(device),
            torch.tensor(questions.sees, device=device),
        )

    def _likeness(self, some: Keys, others: Keys) -> Likeness:
        """By the smaller cosine of both keys; of text-only corrections by the only one."""
        vision, prompt, alike = cosines(some, others)
        prompt = prompt.masked_fill(~alike, -1.0)
        similarity = torch.where(some.sees[:, None], vision.minimum(prompt), prompt)
        return Likeness(
            similarity=similarity,
            alike=similarity > self.config.alike,
            asked=prompt > self.config.same_question,
        )


METHOD = Serac
