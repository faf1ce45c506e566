"""IKE, in-context knowledge editing (Zheng et al., EMNLP 2023, arXiv 2305.12740).

The nearest correction is put before the question as a new fact, behind demonstrations of facts that
are copied, asked in other words, or of no concern. No weight and no state of the model is touched.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from liveedit.backbones.base import Backbone
from liveedit.config import Config
from liveedit.methods.ike.config import IkeConfig
from liveedit.methods.ike.demonstrations import (
    Demonstration,
    Demonstrations,
    load_demonstrations,
    make_demonstrations,
    save_demonstrations,
)
from liveedit.methods.shared.memory.calibrated import Calibrated, save_calibrated
from liveedit.methods.shared.memory.calibration import calibrate
from liveedit.methods.shared.memory.text_memory import TextMemory
from liveedit.methods.shared.training.examples import Example
from liveedit.store.edit import Edit

_REMEMBERED = 4096  # facts whose demonstrations are not looked for again
_EXAMPLES = 128  # training corrections that demonstrations are made of


class Ike(TextMemory):
    """The nearest correction as a new fact, behind demonstrations.

    Args:
        backbone: The frozen model.
        calibrated: Centres and thresholds for it.
        demonstrations: The pool.
        config: How corrections are made and told.
    """

    name = "ike"
    config_class = IkeConfig
    prepares_with = frozenset({"corrections"})
    config: IkeConfig

    def __init__(
        self,
        backbone: Backbone,
        calibrated: Calibrated,
        demonstrations: Sequence[Demonstration],
        config: IkeConfig | None = None,
    ) -> None:
        super().__init__(backbone, calibrated, config or IkeConfig())
        self.demonstrations = Demonstrations(demonstrations)
        self._before = lru_cache(_REMEMBERED)(self._shown)

    @classmethod
    def load(
        cls, backbone: Backbone, folder: Path | None = None, config: Config | None = None
    ) -> Ike:
        """Read thresholds and demonstrations; by default those shipped for the pocket VLM."""
        assert config is None or isinstance(config, IkeConfig)
        folder, calibrated = cls.prepared(backbone, folder)
        return cls(backbone, calibrated, load_demonstrations(folder), config)

    @classmethod
    def prepare(
        cls,
        backbone: Backbone,
        folder: Path,
        *,
        examples: Sequence[Example] = (),
        training: Callable[[int], Sequence[Example]] | None = None,
        corrections: int = _EXAMPLES,
        **options: Any,
    ) -> Path:
        """Choose thresholds on validation corrections, and make demonstrations of training ones.

        Args:
            backbone: The model.
            folder: Made if missing.
            examples: Validation corrections.
            training: Gives so many training corrections.
            corrections: How many demonstrations are made of.
            options: There are no others.

        Raises:
            ValueError: There are no examples with a picture, or no training corrections.
            MissingExtra: The sentence encoder is not installed.
        """
        if training is None:
            raise ValueError("give training corrections: demonstrations are made of them")
        pool = make_demonstrations(backbone, training(corrections))
        calibrated = calibrate(backbone, examples)
        save_calibrated(calibrated, backbone.fingerprint(), folder, method=cls.name)
        save_demonstrations(pool, folder)
        return folder

    def save(self, folder: Path, fingerprint: Mapping[str, object] | None = None) -> None:
        """Write thresholds and demonstrations."""
        super().save(folder, fingerprint)
        save_demonstrations(self.demonstrations.pool, folder)

    @property
    def learned(self) -> dict[str, object]:
        """Digests of thresholds and demonstrations."""
        listed = json.dumps([asdict(one) for one in self.demonstrations.pool])
        return {
            **super().learned,
            "demonstrations": hashlib.sha256(listed.encode()).hexdigest()[:16],
        }

    def told(self, edit: Edit, question: str) -> str:
        """Demonstrations, the correction as a new fact, and the question."""
        config = self.config
        before = self._before(edit.prompt, edit.target, config)
        last = config.question.format(prompt=edit.prompt, target=edit.target, question=question)
        return before + last

    def _shown(self, prompt: str, target: str, config: IkeConfig) -> str:
        chosen = self.demonstrations.nearest(
            prompt,
            target,
            {"copy": config.copies, "update": config.updates, "retain": config.retains},
        )
        return "".join(config.demonstration.format(**asdict(one)) for one in chosen)


METHOD = Ike
