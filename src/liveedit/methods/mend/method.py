"""MEND behind the contract of an editing method: a gradient that was learned to be an edit.

One backward pass of the correction's loss gives, for each linear module of the last feed-forward
networks, what it takes and the gradient of what it gives at the target's tokens. A trained network
turns these into factors whose outer products, times a learned rate, are the edit (Mitchell et al.,
ICLR 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from liveedit.backbones.base import Backbone
from liveedit.backbones.linears import feed_forward_paths, linear_sizes
from liveedit.config import Config
from liveedit.correction import Correction
from liveedit.methods.base import Abilities
from liveedit.methods.mend.config import MendConfig, MendNetworkConfig, MendTraining
from liveedit.methods.mend.gradients import gradients
from liveedit.methods.mend.network import MendNetwork, balanced
from liveedit.methods.mend.training import train
from liveedit.methods.shared.training.checkpoints import (
    digest_of,
    load_weights,
    nothing_trained,
    save_trained,
    trained_settings,
)
from liveedit.methods.shared.training.examples import Example
from liveedit.methods.shared.training.kept_steps import kept_beside
from liveedit.methods.shared.weights.factors import (
    factor_shapes,
    factors_of,
    stored_factors,
    summed,
)
from liveedit.methods.shared.weights.target_pass import TargetPass
from liveedit.methods.shared.weights.weight_change import Changes, Values
from liveedit.methods.shared.weights.weight_method import Learned, WeightMethod, no_modules
from liveedit.store.layout import Shapes

_TOKENS = 4  # of a target, as a rule


class Mend(WeightMethod[MendConfig]):
    """Edits from transformed gradients.

    Args:
        backbone: The frozen model.
        network: Trained for it.
        config: How corrections are made.
    """

    name = "mend"
    config_class = MendConfig
    prepares_with = frozenset({"corrections", "steps", "seed"})

    def __init__(
        self, backbone: Backbone, network: MendNetwork, config: MendConfig | None = None
    ) -> None:
        self.network = network.to(backbone.edit_device).eval().requires_grad_(False)
        super().__init__(backbone, config or MendConfig())

    @classmethod
    def load(
        cls, backbone: Backbone, folder: Path | None = None, config: Config | None = None
    ) -> Mend:
        """Read a trained network; none is shipped."""
        assert config is None or isinstance(config, MendConfig)
        if folder is None:
            raise nothing_trained(cls.name, backbone.name, backbone.source)
        sizes = trained_settings(folder, backbone.fingerprint(), MendNetworkConfig, method=cls.name)
        network = new_network(backbone, sizes, seed=0)
        load_weights(network, folder, method=cls.name)
        return cls(backbone, network, config)

    @classmethod
    def prepare(
        cls,
        backbone: Backbone,
        folder: Path,
        *,
        examples: Sequence[Example] = (),
        training: Callable[[int], Sequence[Example]] | None = None,
        corrections: int = 1000,
        network: MendNetworkConfig | None = None,
        **options: Any,
    ) -> Path:
        """Train the network.

        Args:
            backbone: The model.
            folder: Made if missing; a training that was stopped goes on in ``training`` beside it.
            examples: What it learns from if there are no training corrections.
            training: Gives so many training corrections.
            corrections: How many are asked for.
            network: Its size.
            options: Of :class:`liveedit.methods.mend.config.MendTraining`: steps, seed, ...

        Raises:
            ValueError: There are no examples.
            MethodCannot: The model has no feed-forward networks that can be changed.
        """
        how = MendTraining(**options)
        made = new_network(backbone, network or MendNetworkConfig(), seed=how.seed)
        taught = examples if training is None else training(corrections)
        sizes, settings = made.config.model_dump(), how.model_dump()
        kept = kept_beside(
            folder, backbone, taught, method=cls.name, network=sizes, training=settings
        )
        trained = train(backbone, made, taught, how, kept)
        cls(backbone, trained).save(folder)
        return folder

    def save(self, folder: Path, fingerprint: Mapping[str, object] | None = None) -> None:
        """Write the network."""
        save_trained(
            self.network,
            self.network.config.model_dump(),
            fingerprint or self.backbone.fingerprint(),
            folder,
            method=self.name,
        )

    @property
    def abilities(self) -> Abilities:
        """As of all methods whose edits build on each other; and it must be trained."""
        return Abilities(several_pictures=True, revoke="replay", trained=True)

    @property
    def learned(self) -> dict[str, object]:
        """Digest of the network."""
        return super().learned | {"network": digest_of(self.network)}

    @property
    def rows(self) -> int:
        """A token of the target each."""
        return _TOKENS

    def find_paths(self) -> Sequence[str]:
        """Those of the network."""
        return self.network.paths

    def value_shapes(self) -> Shapes:
        """Both factors of each module, a row for each token of the target."""
        return factor_shapes(self.paths, self.sizes)

    def plus(self, changes: Changes, values: Values) -> Changes:
        """Edits add up."""
        return summed(changes, factors_of(values, self.paths, self.backbone.edit_device))

    def learn(
        self, target: TargetPass, correction: Correction, before: Changes, count: int
    ) -> Learned:
        """One backward pass, on top of what is in force, and the network."""
        del correction, count
        found = gradients(target, before, self.network.sizes)
        with torch.no_grad():
            changes = self.network(found, self.config.strength)
        return Learned(
            values=stored_factors({path: balanced(one) for path, one in changes.items()}), steps=1
        )


def new_network(backbone: Backbone, config: MendNetworkConfig, *, seed: int) -> MendNetwork:
    """An untrained network for the last layers of a model.

    Raises:
        MethodCannot: They have no linear modules of their own.
    """
    last = range(max(0, backbone.layers - config.layers), backbone.layers)
    paths = feed_forward_paths(backbone, last)
    if len(paths) < 2 * len(last):
        raise no_modules("mend", backbone, "feed-forward networks with linear modules")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MendNetwork({path: linear_sizes(backbone, path) for path in paths}, config)


METHOD = Mend
