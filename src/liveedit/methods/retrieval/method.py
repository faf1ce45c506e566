"""Retrieval behind the contract of an editing method: what a practitioner tries first.

A correction's keys are the picture's mean vision feature and a sentence encoder's embedding of the
question. The nearest edit for which both cosines exceed their thresholds is put before the question
as text. Nothing is trained; the thresholds are calibrated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from liveedit.backbones.base import Backbone
from liveedit.backbones.query import Query, Questions
from liveedit.config import Config
from liveedit.correction import Correction
from liveedit.errors import BackboneMismatch, BadCheckpoint
from liveedit.methods.base import Abilities, Method, TellRoute
from liveedit.methods.conflicts import Likeness, find_conflicts, superseding
from liveedit.methods.examples import Example
from liveedit.methods.outcome import EditOutcome, NewEdits, Supersede
from liveedit.methods.retrieval.calibration import calibrate
from liveedit.methods.retrieval.checkpoint import Calibrated, load_calibrated, save_calibrated
from liveedit.methods.retrieval.config import RetrievalConfig
from liveedit.methods.retrieval.encoder import SENTENCE_WIDTH
from liveedit.methods.retrieval.keys import cosines, keys_of
from liveedit.methods.retrieval.thresholds import found
from liveedit.methods.route import Route
from liveedit.store.base import Store
from liveedit.store.edit import Edit
from liveedit.store.layout import Layout
from liveedit.store.pool import Pool
from liveedit.store.tensors import Keys


class Retrieval(Method):
    """The nearest correction, as text before the question.

    Args:
        backbone: The frozen model.
        calibrated: Centres and thresholds for it.
        config: How corrections are made and put before a question.
    """

    name = "retrieval"
    config_class = RetrievalConfig
    config: RetrievalConfig

    def __init__(
        self, backbone: Backbone, calibrated: Calibrated, config: RetrievalConfig | None = None
    ) -> None:
        super().__init__(backbone, config or RetrievalConfig())
        self.calibrated = calibrated

    @classmethod
    def load(
        cls, backbone: Backbone, folder: Path | None = None, config: Config | None = None
    ) -> Retrieval:
        """Read thresholds; by default those that are shipped for the pocket VLM."""
        assert config is None or isinstance(config, RetrievalConfig)
        if folder is not None:
            return cls(backbone, load_calibrated(folder, backbone.fingerprint()), config)
        shipped = Path(str(files(__package__).joinpath("pocket")))
        try:
            return cls(backbone, load_calibrated(shipped, backbone.fingerprint()), config)
        except BackboneMismatch as error:
            raise BadCheckpoint(
                f"there are no thresholds for {backbone.name}: calibrate with `liveedit train "
                f"--method retrieval --model {backbone.source} --out OUT` and give OUT/editor"
            ) from error

    @classmethod
    def prepare(
        cls, backbone: Backbone, folder: Path, *, examples: Sequence[Example] = (), **options: Any
    ) -> Path:
        """Choose thresholds on corrections, all of them in force.

        Args:
            backbone: The model.
            folder: Made if missing.
            examples: Validation corrections.
            options: There are no others.

        Raises:
            ValueError: There are no examples with a picture.
            MissingExtra: The sentence encoder is not installed.
        """
        save_calibrated(calibrate(backbone, examples), backbone.fingerprint(), folder)
        return folder

    def save(self, folder: Path, fingerprint: Mapping[str, object] | None = None) -> None:
        """Write centres and thresholds."""
        save_calibrated(self.calibrated, fingerprint or self.backbone.fingerprint(), folder)

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
        conflicts = find_conflicts(
            edits,
            corrections,
            store,
            pool,
            lambda other: self._likeness(keys, keys if other is None else other.keys.whole),
        )
        edits = superseding(edits, conflicts, supersede or self.config.supersede)
        told = [self._told(edit, edit.prompt) for edit in edits]
        query = self.backbone.query(questions.pictures, told, questions.targets)
        predicts = query.spans.predicts
        right = self.backbone.logits(query).argmax(-1) == query.input_ids.roll(-1, 1)
        reached = (right.to(predicts.device) | ~predicts).all(1)
        outcomes = [
            EditOutcome(edit=edit, reached=bool(reached[at]), steps=0, conflicts=conflicts[at])
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
            prompt if name is None else self._told(edits[name], prompt)
            for prompt, name in zip(questions.prompts, names, strict=True)
        ]
        yield self.backbone.query(
            questions.pictures, prompts, questions.targets, histories=questions.histories
        )

    def _told(self, edit: Edit, question: str) -> str:
        form = self.config.text_only if edit.image is None else self.config.with_picture
        return form.format(prompt=edit.prompt, target=edit.target, question=question)

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


METHOD = Retrieval
