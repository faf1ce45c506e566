"""Retrieval behind the contract of an editing method: what a practitioner tries first.

The nearest correction is put before the question as text. Nothing is trained; the thresholds are
calibrated.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from liveedit.backbones.base import Backbone
from liveedit.config import Config
from liveedit.methods.retrieval.config import RetrievalConfig
from liveedit.methods.shared.memory.calibrated import Calibrated, save_calibrated
from liveedit.methods.shared.memory.calibration import calibrate
from liveedit.methods.shared.memory.text_memory import TextMemory
from liveedit.methods.shared.training.examples import Example
from liveedit.store.edit import Edit


class Retrieval(TextMemory):
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
        super().__init__(backbone, calibrated, config or RetrievalConfig())

    @classmethod
    def load(
        cls, backbone: Backbone, folder: Path | None = None, config: Config | None = None
    ) -> Retrieval:
        """Read thresholds; by default those that are shipped for the pocket VLM."""
        assert config is None or isinstance(config, RetrievalConfig)
        return cls(backbone, cls.prepared(backbone, folder)[1], config)

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
        calibrated = calibrate(backbone, examples)
        save_calibrated(calibrated, backbone.fingerprint(), folder, method=cls.name)
        return folder

    def told(self, edit: Edit, question: str) -> str:
        """One sentence, and the question."""
        form = self.config.text_only if edit.image is None else self.config.with_picture
        return form.format(prompt=edit.prompt, target=edit.target, question=question)


METHOD = Retrieval
