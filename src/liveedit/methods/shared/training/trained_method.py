"""What methods share whose network is trained on training corrections: load, prepare, save."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from torch import nn

from liveedit.backbones.base import Backbone
from liveedit.config import Config
from liveedit.methods.base import Method
from liveedit.methods.shared.training.checkpoints import (
    digest_of,
    load_weights,
    nothing_trained,
    save_trained,
    trained_settings,
)
from liveedit.methods.shared.training.examples import Example
from liveedit.methods.shared.training.kept_steps import KeptSteps, kept_beside

N = TypeVar("N", bound=nn.Module)
C = TypeVar("C", bound=Config)
T = TypeVar("T", bound=Config)  # how it is trained
M = TypeVar("M", bound="TrainedMethod")


class TrainedMethod(Method, Generic[N, T, C]):
    """A method that is made from a backbone, a trained network and settings.

    Args:
        backbone: The frozen model.
        network: What was trained for it.
        training: How, its sizes among them; of the class ``training_class``, which says how many
            ``corrections`` it wants.
        config: How corrections are made; the defaults by default.
    """

    prepares_with = frozenset({"corrections", "steps", "seed"})
    training_class: ClassVar[type[Config]]
    config: C

    def __init__(
        self, backbone: Backbone, network: N, training: T, config: C | None = None
    ) -> None:
        super().__init__(backbone, config or self.config_class())
        self.network = network.to(backbone.edit_device).eval().requires_grad_(False)
        self.training = training

    @classmethod
    @abstractmethod
    def new_network(cls, backbone: Backbone, training: T) -> N:
        """A network of some sizes, not trained yet."""

    @classmethod
    @abstractmethod
    def train(
        cls,
        backbone: Backbone,
        examples: Sequence[Example],
        training: T,
        *,
        seed: int,
        kept: KeptSteps,
    ) -> N:
        """Train a network; a training that was stopped goes on.

        Args:
            backbone: The model.
            examples: Training corrections.
            training: Its sizes, and how.
            seed: Of everything random.
            kept: Where its state is.

        Raises:
            MissingExtra: A package that this takes is not installed.
        """

    @classmethod
    def load(
        cls: type[M], backbone: Backbone, folder: Path | None = None, config: Config | None = None
    ) -> M:
        """Read what was trained; nothing is shipped."""
        assert config is None or isinstance(config, cls.config_class)
        if folder is None:
            raise nothing_trained(cls.name, backbone.name, backbone.source)
        training = trained_settings(
            folder, backbone.fingerprint(), cls.training_class, method=cls.name
        )
        network = cls.new_network(backbone, training)
        load_weights(network, folder, method=cls.name)
        return cls(backbone, network, training, config)

    @classmethod
    def prepare(
        cls,
        backbone: Backbone,
        folder: Path,
        *,
        training: Callable[[int], Sequence[Example]] | None = None,
        corrections: int | None = None,
        steps: int | None = None,
        seed: int = 0,
        sizes: Config | None = None,
        **options: Any,
    ) -> Path:
        """Train the network on training corrections.

        Args:
            backbone: The model.
            folder: Made if missing; a training that was stopped goes on in ``training`` beside it.
            training: Gives so many training corrections.
            corrections: How many.
            steps: Of training.
            seed: Of everything random.
            sizes: Other sizes than the usual ones.
            options: There are no others.

        Raises:
            ValueError: There are no training corrections.
            MissingExtra: A package that training takes is not installed.
        """
        if training is None:
            raise ValueError(f"give training corrections: {cls.name} learns from them")
        given = {"corrections": corrections, "steps": steps}
        changes = {name: value for name, value in given.items() if value is not None}
        chosen: Any = (sizes or cls.training_class()).model_copy(update=changes)
        examples = training(chosen.corrections)
        kept = kept_beside(
            folder, backbone, examples, method=cls.name, training=chosen.model_dump(), seed=seed
        )
        network = cls.train(backbone, examples, chosen, seed=seed, kept=kept)
        cls(backbone, network, chosen).save(folder)
        return folder

    def save(self, folder: Path, fingerprint: Mapping[str, object] | None = None) -> None:
        """Write weights and sizes."""
        save_trained(
            self.network,
            self.training.model_dump(),
            fingerprint or self.backbone.fingerprint(),
            folder,
            method=self.name,
        )

    @property
    def learned(self) -> dict[str, object]:
        """Digest of what was trained."""
        return {self.name: digest_of(self.network)}

    def describe(self) -> dict[str, Any]:
        """Settings, and how it was trained."""
        return {**super().describe(), "training": self.training.model_dump()}
