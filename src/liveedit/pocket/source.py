"""The pocket VLM as a model that is known by its name (entry point ``liveedit.models``)."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import torch
from transformers import PreTrainedModel

from liveedit.backbones.sources import ModelSource
from liveedit.pocket.assembly import build_pocket, pocket_folder


def _channels_last(model: PreTrainedModel) -> None:
    """Half the time for convolutions on a CPU."""
    model.model.vision_tower.to(memory_format=torch.channels_last)


def shipped_editor() -> Path:
    """LiveEdit's editor for the pocket VLM, inside the package."""
    return Path(str(files("liveedit.pocket").joinpath("editor")))


SOURCE = ModelSource(
    build=build_pocket,
    editors={"liveedit": shipped_editor()},
    place=pocket_folder,
    prepare=_channels_last,
)
