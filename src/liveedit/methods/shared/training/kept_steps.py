"""The state of a training on disk, so that one that was stopped goes on with the same result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from liveedit.backbones.base import Backbone
from liveedit.correction import pictures_identity
from liveedit.methods.shared.training.examples import Example
from liveedit.saving.files import whole

EVERY = 100  # steps after which the state is written
_ABOUT = "training"


@dataclass(frozen=True, kw_only=True)
class KeptSteps:
    """Where states of a training are kept, a file for each part of it.

    Args:
        folder: Made if missing.
        about: What is trained, and how; JSON. States of another training are not taken up.
    """

    folder: Path
    about: Mapping[str, Any]

    def keep(
        self,
        name: str,
        parameters: Sequence[Tensor],
        optimiser: torch.optim.Optimizer,
        steps: int,
        generator: torch.Generator | None = None,
    ) -> None:
        """Write the state of a part; the file appears whole or not at all.

        Args:
            name: Of the part.
            parameters: What is trained.
            optimiser: Of them.
            steps: That were made.
            generator: Of the batches, if they come one after the other.
        """
        tensors = {f"parameter.{at}": one.detach() for at, one in enumerate(parameters)}
        for at, state in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{at}.{key}": value for key, value in state.items()}
        tensors["steps"] = torch.tensor(steps)
        if generator is not None:
            tensors["generator"] = generator.get_state()
        self._write(name, tensors)

    @torch.no_grad()
    def resume(
        self,
        name: str,
        parameters: Sequence[Tensor],
        optimiser: torch.optim.Optimizer,
        generator: torch.Generator | None = None,
    ) -> int:
        """Go on with what was kept.

        Args:
            name: Of the part.
            parameters: Changed in place.
            optimiser: Of them; changed in place.
            generator: Set to where it was.

        Returns:
            How many steps were made; 0 if nothing was kept, or that of another training.
        """
        tensors = self._read(name)
        if tensors is None:
            return 0
        for at, one in enumerate(parameters):
            one.copy_(tensors[f"parameter.{at}"])
        states: dict[int, dict[str, Tensor]] = {}
        for key, one in tensors.items():
            if key.startswith("optimiser."):
                _, number, field = key.split(".")
                states.setdefault(int(number), {})[field] = one
        optimiser.load_state_dict({**optimiser.state_dict(), "state": states})
        if generator is not None:
            generator.set_state(tensors["generator"])
        return int(tensors["steps"])

    def once(self, name: str, compute: Callable[[], Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """What the steps start from, computed once however often the training is stopped.

        Args:
            name: Of the file.
            compute: What it holds.
        """
        found = self._read(name)
        if found is None:
            found = dict(compute())
            self._write(name, found)
        return found

    def _read(self, name: str) -> dict[str, Tensor] | None:
        """None if there is nothing, or that of another training."""
        try:
            with safe_open(self._file(name), "pt") as file:
                if (file.metadata() or {}).get(_ABOUT) != self._told:
                    return None
                return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError):
            return None

    def _write(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        alone = {key: one.cpu().clone().contiguous() for key, one in tensors.items()}
        with whole(self._file(name)) as part:
            save_file(alone, part, {_ABOUT: self._told})

    @property
    def _told(self) -> str:
        return json.dumps(self.about, sort_keys=True)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"


def kept_beside(
    folder: Path, backbone: Backbone, examples: Sequence[Example], **how: object
) -> KeptSteps:
    """States of the training of what goes into a folder: in ``training`` beside it.

    Args:
        folder: Of what is trained.
        backbone: The model it is for.
        examples: What it learns from.
        how: Method, settings, seed; JSON.
    """
    texts = [
        [pictures_identity(one.correction.image), one.correction.prompt, one.correction.target]
        + [question for _, question in (*one.concerned, *one.unconcerned)]
        for one in examples
    ]
    digest = hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16]
    about = {**how, "backbone": backbone.fingerprint(), "corrections": digest}
    return KeptSteps(folder=folder.parent / "training", about=about)
