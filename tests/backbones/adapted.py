"""Adapters of PEFT that are felt, on tiny models, in memory and as folders."""

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel

PLACES = {"blip-2": ["q_proj", "fc1"], "minigpt4": ["q_proj", "up_proj"]}


def adapted(model: PreTrainedModel, family: str = "llava", **settings: Any) -> PeftModel:
    """The model with a random LoRA, as ``get_peft_model`` gives it."""
    given = {"r": 4, "target_modules": PLACES.get(family, ["q_proj", "up_proj"])} | settings
    wrapped = get_peft_model(model, LoraConfig(**given))
    stir(wrapped, "default")
    return wrapped.eval()


def stir(model: Any, name: str, seed: int = 7) -> None:
    """Give an adapter random weights."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for path, tensor in model.named_parameters():
            if "lora_" in path and f".{name}" in path:
                tensor.copy_(torch.randn(tensor.shape, generator=random) * 0.15)


def adapter_folder(model: PreTrainedModel, base: str | Path, folder: Path, **settings: Any) -> Path:
    """A LoRA saved as its owner would, for a base that is called so."""
    model = adapted(model, **settings)
    model.peft_config["default"].base_model_name_or_path = str(base)
    model.save_pretrained(folder, save_embedding_layers=False)
    return folder
