"""Methods that keep corrections as text: the nearest one is told before the question.

A correction's keys are the picture's mean vision feature and a sentence encoder's embedding of the
question. The nearest edit for which both cosines exceed their thresholds, which are calibrated, is
told. How it is told is what such methods differ in.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.resources import files
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from liveedit.backbones.base import Backbone
from liveedit.backbones.kept_logits import says_targets
from liveedit.backbones.query import Query, Questions
from liveedit.correction import Correction
from liveedit.errors import BackboneMismatch, BadCheckpoint
from liveedit.methods.base import Abilities, Method, TellRoute
from liveedit.methods.conflicts import Likeness, settled
from liveedit.methods.outcome import EditOutcome, NewEdits, Supersede
from liveedit.methods.route import Route
from liveedit.methods.shared.memory.calibrated import (
    CONFIG_FILE,
    Calibrated,
    load_calibrated,
    save_calibrated,
)
from liveedit.methods.shared.memory.keys import cosines, keys_of
from liveedit.methods.shared.memory.memory_config import MemoryConfig
from liveedit.methods.shared.memory.thresholds import found
from liveedit.methods.shared.sentence_encoder import SENTENCE_WIDTH
from liveedit.store.base import Store
from liveedit.store.edit import Edit
from liveedit.store.layout import Layout
from liveedit.store.pool import Pool
from liveedit.store.tensors import Keys


class TextMemory(Method):
    """The nearest correction, as text before the question.

    Args:
        backbone: The frozen model.
        calibrated: Centres and thresholds for it.
        config: How corrections are made and told.
    """

    config: MemoryConfig
    judges_alone = True

    def __init__(self, backbone: Backbone, calibrated: Calibrated, config: MemoryConfig) -> None:
        super().__init__(backbone, config)
        self.calibrated = calibrated

    @classmethod
    def prepared(cls, backbone: Backbone, folder: Path | None) -> tuple[Path, Calibrated]:
        """The folder, by default what is shipped for the pocket VLM, and the thresholds in it.

        Raises:
            BadCheckpoint: It is not what is needed, or there is none for this model.
            BackboneMismatch: It is for another backbone.
        """
        fingerprint = backbone.fingerprint()
        if folder is not None:
            return folder, load_calibrated(folder, fingerprint, method=cls.name)
        package = f"liveedit.methods.{cls.name}"
        shipped = Path(str(files(package).joinpath("pocket")))
        try:
            if (shipped / CONFIG_FILE).is_file():
                return shipped, load_calibrated(shipped, fingerprint, method=cls.name)
            cause = None
        except BackboneMismatch as error:
            cause = error
        raise BadCheckpoint(
            f"there are no thresholds for {backbone.name}: calibrate with `liveedit train "
            f"--method {cls.name} --model {backbone.source} --out OUT` and give OUT/editor"
        ) from cause

    def save(self, folder: Path, fingerprint: Mapping[str, object] | None = None) -> None:
        """Write centres and thresholds."""
        save_calibrated(
            self.calibrated,
            fingerprint or self.backbone.fingerprint(),
            folder,
            method=self.name,
        )

    @property
    def abilities(self) -> Abilities:
        """Edits are text, so that each is taken back exactly."""
        return Abilities(several_pictures=True, trained=True)

    @property
    def layout(self) -> Layout:
        """Two keys, and no further tensor."""
        return Layout(keys={"vision": self.backbone.width, "prompt": SENTENCE_WIDTH}, values={})

    @property
    def learned(self) -> dict[str, object]:
        """Digest of centres and thresholds."""
        return {"thresholds": self.calibrated.digest}

    @abstractmethod
    def told(self, edit: Edit, question: str) -> str:
        """The question with what is told before it."""

    def following(
        self, query: Query, concerned: Bool[Tensor, " batch"]
    ) -> AbstractContextManager[None]:
        """What else is in force while the model answers, for rows that are told something."""
        return nullcontext()

    @torch.no_grad()
    def edit(
        self,
        edits: Sequence[Edit],
        corrections: Sequence[Correction],
        store: Store,
        supersede: Supersede | None = None,
    ) -> NewEdits:
        """Compute the keys, find conflicts, and see whether the model follows."""
        questions = Questions(
            pictures=[one.image for one in corrections],
            prompts=[one.prompt for one in corrections],
            targets=[one.target for one in corrections],
        )
        keys = self._keys(questions)
        pool = store.pool(namespaces=[edit.namespace for edit in edits]).near(keys)
        which = supersede or self.config.supersede
        edits, conflicts = settled(edits, corrections, store, pool, keys, self._likeness, which)
        told = [self.told(edit, edit.prompt) for edit in edits]
        query = self.backbone.query(questions.pictures, told, questions.targets)
        with self.following(query, torch.ones(len(edits), dtype=torch.bool)):
            reached = says_targets(self.backbone, query)
        outcomes = [
            EditOutcome(edit=edit, reached=reached[at], steps=0, conflicts=conflicts[at])
            for at, edit in enumerate(edits)
        ]
        return NewEdits(outcomes=outcomes, keys=keys, values={})

    @torch.no_grad()
    def route(self, questions: Questions, pool: Pool) -> tuple[Route, Pool]:
        """The nearest edit that passes gets weight 1."""
        keys = self._keys(questions)
        near = pool.near(keys)
        vision, prompt, alike = cosines(keys, near.keys.whole)
        low, least = self._thresholds(keys.sees)
        passes = near.eligible & alike & (vision > low) & (prompt > least)
        chosen = found(vision, prompt, passes).long()
        weights = (chosen[:, None] == torch.arange(len(near.keys), device=chosen.device)).float()
        route = Route(
            vision=vision, threshold=low, prompt=prompt - least, passes=passes, weights=weights
        )
        return route, near

    @contextmanager
    def apply(
        self, questions: Questions, pool: Pool, tell: TellRoute | None = None
    ) -> Iterator[Query]:
        """Put what was found before each question."""
        route, near = self.route(questions, pool)
        if tell is not None:
            tell(route, near)
        names = [near.ids[int(row.argmax())] if row.any() else None for row in route.weights.cpu()]
        edits = near.edits_of(list(dict.fromkeys(name for name in names if name is not None)))
        prompts = [
            prompt if name is None else self.told(edits[name], prompt)
            for prompt, name in zip(questions.prompts, names, strict=True)
        ]
        query = self.backbone.query(
            questions.pictures, prompts, questions.targets, histories=questions.histories
        )
        concerned = torch.tensor([name is not None for name in names])
        with self.following(query, concerned) if concerned.any() else nullcontext():
            yield query

    def _keys(self, questions: Questions) -> Keys:
        return keys_of(
            self.backbone, questions, self.calibrated.vision_centre, self.calibrated.prompt_centre
        )

    def _thresholds(
        self, sees: Bool[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch 1"], Float[Tensor, "batch 1"]]:
        one = self.calibrated
        low = torch.where(sees, one.vision, -2.0)[:, None]
        return low, torch.where(sees, one.prompt, one.text)[:, None]

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
