"""What methods share that learn nothing beforehand: a folder holds their settings alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Generic, TypeVar

from liveedit.backbones.base import Backbone
from liveedit.config import Config
from liveedit.methods.base import Method
from liveedit.methods.shared.saved_settings import read_settings, write_settings

C = TypeVar("C", bound=Config)
M = TypeVar("M", bound="UntrainedMethod")


class UntrainedMethod(Method, Generic[C]):
    """A method that is made from a backbone and settings.

    Args:
        backbone: The frozen model.
        config: How corrections are made; the defaults by default.
    """

    config: C

    def __init__(self, backbone: Backbone, config: C | None = None) -> None:
        super().__init__(backbone, config or self.config_class())

    @classmethod
    def load(
        cls: type[M], backbone: Backbone, folder: Path | None = None, config: Config | None = None
    ) -> M:
        """Nothing was learned: only the settings are read, where they were saved."""
        if config is None and folder is not None:
            config = read_settings(folder, cls.name, cls.config_class, backbone.fingerprint())
        assert config is None or isinstance(config, cls.config_class)
        return cls(backbone, config)

    def save(self, folder: Path, fingerprint: Mapping[str, object] | None = None) -> None:
        """Write the settings."""
        write_settings(folder, self.name, self.config, fingerprint or self.backbone.fingerprint())
