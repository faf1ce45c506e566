"""Tiny models as folders that vLLM reads; written with the transformers of the project itself."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tests.backbones.families import FAMILIES, shaken
from tests.backbones.parts import SQUARE

# what vLLM's kernels for CPUs ask for: heads of 32
_HEADS = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32}
# transformers writes names of its own, and vLLM reads those of the published checkpoints
_PUBLISHED = {
    family: [(r"^vision_tower\.(?!vision_model\.)", "vision_tower.vision_model.")]
    for family in ("llava", "llava_next", "llava_onevision")
}

_PIXELS = {"shortest_edge": 1568, "longest_edge": 4704}
# the project's processors are for pictures alone, and vLLM asks published ones for videos, too
_VIDEOS: dict[str, dict[str, Any]] = {
    "qwen2_vl": {"video_processor_type": "Qwen2VLVideoProcessor", "size": _PIXELS},
    "qwen2_5_vl": {"video_processor_type": "Qwen2VLVideoProcessor", "size": _PIXELS},
    "llava_onevision": {"video_processor_type": "LlavaOnevisionVideoProcessor", "size": SQUARE},
    "internvl": {"video_processor_type": "InternVLVideoProcessor", "size": SQUARE},
    "smolvlm": {"video_processor_type": "SmolVLMVideoProcessor", "size": {"longest_edge": 56}},
}


def write_model(family: str, folder: Path) -> Path:
    """A tiny model of random weights in a folder, with its processor."""
    torch.manual_seed(0)
    model, processor = FAMILIES[family].build()
    text = model.config.get_text_config()
    for name, value in _HEADS.items():
        if hasattr(text, name):
            setattr(text, name, value)
    rope = getattr(text, "rope_parameters", None) or {}
    if "mrope_section" in rope:
        rope["mrope_section"] = [2 * part for part in rope["mrope_section"]]
    model.config.tie_word_embeddings = text.tie_word_embeddings  # vLLM asks the part for text
    model = shaken(type(model)(model.config))
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    path = folder / "model.safetensors"
    tensors = load_file(path)
    for pattern, published in _PUBLISHED.get(family, ()):
        tensors = {re.sub(pattern, published, name): value for name, value in tensors.items()}
    save_file(tensors, path, {"format": "pt"})
    if family in _VIDEOS:
        (folder / "video_preprocessor_config.json").write_text(json.dumps(_VIDEOS[family]))
    return folder
