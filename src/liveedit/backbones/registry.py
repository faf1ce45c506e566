"""From a name or a folder to a backbone."""

from __future__ import annotations

from pathlib import Path

import torch

from liveedit.backbones.base import Backbone
from liveedit.errors import BadCheckpoint
from liveedit.precision import fast_dtype


def load_backbone(
    model: str | Path, *, device: str = "cpu", dtype: torch.dtype | None = None
) -> Backbone:
    """Load a model and its processor.

    Args:
        model: ``pocket``, built into the cache on first use, or the folder of a LLaVA model.
        device: Where the weights go.
        dtype: What the language model computes in; by default what the device is fast at, see
            :func:`liveedit.precision.fast_dtype`.

    Raises:
        BadCheckpoint: The folder holds no model of a supported family.
    """
    from transformers import AutoConfig, LlavaForConditionalGeneration, LlavaProcessor

    from liveedit.backbones.llava import LlavaBackbone
    from liveedit.pocket.assembly import EDIT_LAYER, build_pocket

    folder = build_pocket() if model == "pocket" else Path(model)
    edit_layer = EDIT_LAYER
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise BadCheckpoint(
            f"{model} is no folder with a transformers model; give such a folder, or 'pocket'"
        ) from error
    if config.model_type != "llava":
        raise BadCheckpoint(
            f"{model} is a {config.model_type} model, which is not supported yet; use a LLaVA model"
        )
    if model != "pocket":  # the layer that the paper found best, at two thirds of the depth
        edit_layer = round(config.text_config.num_hidden_layers * 2 / 3)
    loaded = LlavaForConditionalGeneration.from_pretrained(
        folder, dtype=dtype or fast_dtype(device), local_files_only=True
    )
    if model == "pocket":  # half the time for convolutions on a CPU
        loaded.model.vision_tower.to(memory_format=torch.channels_last)
    processor = LlavaProcessor.from_pretrained(folder, local_files_only=True)
    processor.tokenizer.padding_side = "left"
    return LlavaBackbone(
        loaded.to(device), processor, edit_layer=edit_layer, name=folder.resolve().name
    )
