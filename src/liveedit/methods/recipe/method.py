"""RECIPE (Chen et al., EMNLP 2024, arXiv 2405.03279).

A correction is a continuous prompt, which is put before the question that asks for it. Which one
does is decided by the similarity of question and knowledge, against that of a learned sentinel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor

from liveedit.backbones.base import Backbone
from liveedit.backbones.kept_logits import says_targets
from liveedit.backbones.picture_features import encode_pictures
from liveedit.backbones.query import Query, Questions
from liveedit.correction import Correction
from liveedit.methods.base import Abilities, TellRoute
from liveedit.methods.conflicts import Likeness, settled
from liveedit.methods.outcome import EditOutcome, NewEdits, Supersede
from liveedit.methods.recipe.config import RecipeConfig, RecipeTraining
from liveedit.methods.recipe.network import RecipeNetwork, prompted, train_network
from liveedit.methods.recipe.prompts import prompts_of
from liveedit.methods.route import Route
from liveedit.methods.shared.sentence_encoder import SENTENCE_WIDTH, encode_questions
from liveedit.methods.shared.training.examples import Example
from liveedit.methods.shared.training.kept_steps import KeptSteps
from liveedit.methods.shared.training.trained_method import TrainedMethod
from liveedit.methods.shared.undamaged import with_undamaged
from liveedit.store.base import Store
from liveedit.store.edit import Edit
from liveedit.store.layout import Layout
from liveedit.store.pool import Pool
from liveedit.store.tensors import Keys

_KNOWLEDGE, _QUESTION, _PROMPT = "knowledge", "question", "prompt"


class Recipe(TrainedMethod[RecipeNetwork, RecipeTraining, RecipeConfig]):
    """Continuous prompts.

    Args:
        backbone: The frozen model.
        network: What was trained for it.
        training: How, its sizes among them.
        config: When an edit is found.
    """

    name = "recipe"
    config_class = RecipeConfig
    judges_alone = True
    training_class = RecipeTraining

    @classmethod
    def new_network(cls, backbone: Backbone, training: RecipeTraining) -> RecipeNetwork:
        """Retriever, sentinel and prompt encoder."""
        return RecipeNetwork(backbone, training)

    @classmethod
    def train(
        cls,
        backbone: Backbone,
        examples: Sequence[Example],
        training: RecipeTraining,
        *,
        seed: int,
        kept: KeptSteps,
    ) -> RecipeNetwork:
        """Train both."""
        return train_network(backbone, examples, training, seed=seed, kept=kept)

    @property
    def abilities(self) -> Abilities:
        """Prompts know nothing of each other, so that each edit is taken back exactly."""
        return Abilities(several_pictures=True, trained=True)

    @property
    def layout(self) -> Layout:
        """Knowledge, the question's own embedding, and a prompt."""
        return Layout(
            keys={_KNOWLEDGE: self.training.key, _QUESTION: SENTENCE_WIDTH},
            values={_PROMPT: (self.training.shared + self.training.tokens, self._embeddings)},
        )

    @torch.no_grad()
    def edit(
        self,
        edits: Sequence[Edit],
        corrections: Sequence[Correction],
        store: Store,
        supersede: Supersede | None = None,
    ) -> NewEdits:
        """Encode knowledge and prompts, and see whether the model gives the targets with them."""
        pictures = [one.image for one in corrections]
        questions = [one.prompt for one in corrections]
        stated = encode_questions([f"{one.prompt} {one.target}" for one in corrections])
        vision = encode_pictures(self.backbone, pictures)
        device = self.backbone.edit_device
        keys = Keys(
            vectors={
                _KNOWLEDGE: self.network.retriever.knowledges(vision.to(device), stated.to(device)),
                _QUESTION: encode_questions(questions).to(device),
            },
            sees=torch.tensor([picture is not None for picture in pictures], device=device),
        )
        pool = store.pool(namespaces=[edit.namespace for edit in edits])
        which = supersede or self.config.supersede
        edits, conflicts = settled(edits, corrections, store, pool, keys, self._likeness, which)
        prompts = prompts_of(
            self.network.encoder, self.backbone, [(one.prompt, one.target) for one in corrections]
        )
        query = self.backbone.query(
            pictures, questions, [one.target for one in corrections],
            lead=[prompts.shape[1]] * len(edits),
        )  # fmt: skip
        with prompted(self.backbone, query, range(len(edits)), prompts):
            reached = says_targets(self.backbone, query)
        outcomes = [
            EditOutcome(edit=edit, reached=reached[at], steps=0, conflicts=conflicts[at])
            for at, edit in enumerate(edits)
        ]
        return NewEdits(outcomes=outcomes, keys=keys, values={_PROMPT: list(prompts.cpu())})

    @torch.no_grad()
    def route(self, questions: Questions, pool: Pool) -> tuple[Route, Pool]:
        """The most similar knowledge gets weight 1 if it is above the sentinel by the margin."""
        retriever, device = self.network.retriever, self.backbone.edit_device
        asked = retriever.questions(
            encode_pictures(self.backbone, questions.pictures).to(device),
            encode_questions(questions.prompts).to(device),
        )
        keys = pool.keys.whole
        similarity = asked @ keys.vectors[_KNOWLEDGE].T
        threshold = retriever.threshold(asked) + self.config.margin
        alike = torch.tensor(questions.sees, device=device)[:, None] == keys.sees
        passes = pool.eligible & alike & (similarity > threshold)
        weights = torch.zeros_like(similarity)
        if passes.any():
            best = torch.where(passes, similarity, -2.0).argmax(1, keepdim=True)
            weights.scatter_(1, best, passes.gather(1, best).float())
        route = Route(
            vision=similarity,
            threshold=threshold,
            prompt=similarity - threshold,
            passes=passes,
            weights=weights,
        )
        return route, pool

    @contextmanager
    def apply(
        self, questions: Questions, pool: Pool, tell: TellRoute | None = None
    ) -> Iterator[Query]:
        """Put the prompts that were found before their questions."""
        rows, prompts = with_undamaged(pool, lambda left: self._found(questions, left, tell))
        lead = [0] * len(questions.prompts)
        for row in rows:
            lead[row] = prompts.shape[1]
        query = self.backbone.query(
            questions.pictures, questions.prompts, questions.targets,
            histories=questions.histories, lead=lead,
        )  # fmt: skip
        if not rows:
            yield query
            return
        with prompted(self.backbone, query, rows, prompts):
            yield query

    def _found(
        self, questions: Questions, pool: Pool, tell: TellRoute | None
    ) -> tuple[list[int], Float[Tensor, "rows tokens embeddings"]]:
        """Rows that ask for an edit, and their prompts."""
        route, near = self.route(questions.alone, pool)
        concerned = route.weights.any(1)
        prompts = torch.zeros(0, *self.layout.values[_PROMPT])  # type: ignore[arg-type]
        if concerned.any():
            prompts = torch.stack(near.take(route.weights[concerned].argmax(1))[_PROMPT])
        if tell is not None:
            tell(route, near)
        return concerned.nonzero().flatten().tolist(), prompts.float()

    @property
    def _embeddings(self) -> int:
        return self.backbone.model.get_input_embeddings().weight.shape[1]

    def _likeness(self, some: Keys, others: Keys) -> Likeness:
        """By the cosine of knowledge; questions by that of their embeddings."""
        together = some.sees[:, None] == others.sees
        similarity, asked = (
            (some.vectors[name] @ others.vectors[name].T).masked_fill(~together, -1.0)
            for name in (_KNOWLEDGE, _QUESTION)
        )
        return Likeness(
            similarity=similarity,
            alike=similarity > self.config.alike,
            asked=asked > self.config.same_question,
        )


METHOD = Recipe
