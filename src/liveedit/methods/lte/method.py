"""LTE, learning to edit (Jiang et al., ACL 2024, arXiv 2402.11905).

The nearest correction is told before the question, and a low-rank change, which was trained to
follow what is told where it matters, is in force for the rows that are told something.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from jaxtyping import Bool
from torch import Tensor

from liveedit.backbones.base import Backbone
from liveedit.backbones.query import Query
from liveedit.config import Config
from liveedit.methods.lte.config import LteConfig, LteTraining
from liveedit.methods.lte.tuning import LowRankTuning, tune
from liveedit.methods.shared.memory.calibrated import Calibrated
from liveedit.methods.shared.memory.calibration import calibrate
from liveedit.methods.shared.memory.text_memory import TextMemory
from liveedit.methods.shared.training.checkpoints import (
    digest_of,
    load_weights,
    nothing_trained,
    save_trained,
    trained_settings,
)
from liveedit.methods.shared.training.examples import Example
from liveedit.methods.shared.training.kept_steps import kept_beside
from liveedit.store.edit import Edit

_TUNING = "tuning"  # folder of the low-rank change, beside the thresholds


class Lte(TextMemory):
    """The nearest correction as text, and a model tuned to follow it.

    Args:
        backbone: The frozen model.
        calibrated: Centres and thresholds for it.
        tuning: The low-rank change.
        training: How it was trained.
        config: When an edit is told.
    """

    name = "lte"
    config_class = LteConfig
    prepares_with = frozenset({"corrections", "steps", "seed"})
    config: LteConfig

    def __init__(
        self,
        backbone: Backbone,
        calibrated: Calibrated,
        tuning: LowRankTuning,
        training: LteTraining,
        config: LteConfig | None = None,
    ) -> None:
        super().__init__(backbone, calibrated, config or LteConfig())
        self.tuning = tuning.to(backbone.edit_device).requires_grad_(False)
        self.training = training

    @classmethod
    def load(
        cls, backbone: Backbone, folder: Path | None = None, config: Config | None = None
    ) -> Lte:
        """Read thresholds and the low-rank change."""
        assert config is None or isinstance(config, LteConfig)
        if folder is None:
            raise nothing_trained(cls.name, backbone.name, backbone.source)
        folder, calibrated = cls.prepared(backbone, folder)
        inside = folder / _TUNING
        training = trained_settings(inside, backbone.fingerprint(), LteTraining, method=cls.name)
        tuning = LowRankTuning(backbone, training)
        load_weights(tuning, inside, method=cls.name)
        return cls(backbone, calibrated, tuning, training, config)

    @classmethod
    def prepare(
        cls,
        backbone: Backbone,
        folder: Path,
        *,
        examples: Sequence[Example] = (),
        training: Callable[[int], Sequence[Example]] | None = None,
        corrections: int | None = None,
        steps: int | None = None,
        seed: int = 0,
        sizes: LteTraining | None = None,
        **options: Any,
    ) -> Path:
        """Tune on training corrections, and choose thresholds on validation corrections.

        Args:
            backbone: The model.
            folder: Made if missing; a tuning that was stopped goes on in ``training`` beside it.
            examples: Validation corrections.
            training: Gives so many training corrections.
            corrections: How many.
            steps: Of the tuning.
            seed: Of everything random.
            sizes: Other sizes than the usual ones.
            options: There are no others.

        Raises:
            ValueError: There are no examples with a picture, or no training corrections.
            MissingExtra: The sentence encoder or peft is not installed.
        """
        if training is None:
            raise ValueError("give training corrections: the model is tuned on them")
        given = {"corrections": corrections, "steps": steps}
        changes = {name: value for name, value in given.items() if value is not None}
        chosen = (sizes or LteTraining()).model_copy(update=changes)
        calibrated = calibrate(backbone, examples)
        taught = training(chosen.corrections)
        kept = kept_beside(
            folder, backbone, taught, method=cls.name, training=chosen.model_dump(), seed=seed
        )
        tuning = tune(backbone, taught, chosen, seed=seed, kept=kept)
        cls(backbone, calibrated, tuning, chosen).save(folder)
        return folder

    def save(self, folder: Path, fingerprint: Mapping[str, object] | None = None) -> None:
        """Write the low-rank change, and thresholds."""
        save_trained(
            self.tuning,
            self.training.model_dump(),
            fingerprint or self.backbone.fingerprint(),
            folder / _TUNING,
            method=self.name,
        )
        super().save(folder, fingerprint)

    @property
    def learned(self) -> dict[str, object]:
        """Digests of thresholds and the low-rank change."""
        return {**super().learned, "tuning": digest_of(self.tuning)}

    def describe(self) -> dict[str, Any]:
        """Settings, and how the model was tuned."""
        return {**super().describe(), "training": self.training.model_dump()}

    def told(self, edit: Edit, question: str) -> str:
        """The correction as it was told in training."""
        return self.training.form.format(prompt=edit.prompt, target=edit.target, question=question)

    def following(
        self, query: Query, concerned: Bool[Tensor, " batch"]
    ) -> AbstractContextManager[None]:
        """The low-rank change, in rows that are told something."""
        rows = concerned.nonzero().flatten().tolist()
        batch = len(query.input_ids)
        return self.tuning.following(self.backbone, rows, batch, self.config.strength)


METHOD = Lte
