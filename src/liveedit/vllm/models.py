"""Models that vLLM and liveedit share, and where their decoder layers are in vLLM's classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from liveedit.errors import CannotServe

# names of classes of models as their config.json has them, and the family they are of here: those
# whose answers were compared (tests/vllm/engine)
FAMILIES: Mapping[str, str] = {
    "LlavaForConditionalGeneration": "llava",
    "LlavaNextForConditionalGeneration": "llava_next",
    "LlavaOnevisionForConditionalGeneration": "llava_onevision",
    "Qwen2VLForConditionalGeneration": "qwen2_vl",
    "Qwen2_5_VLForConditionalGeneration": "qwen2_5_vl",
    "InternVLForConditionalGeneration": "internvl",
    "Idefics3ForConditionalGeneration": "idefics3",
    "SmolVLMForConditionalGeneration": "smolvlm",
    "Blip2ForConditionalGeneration": "blip-2",
}
_LAYERS = ("model.layers", "layers", "model.decoder.layers")


def family_of(config: Any) -> str:
    """The family of a model.

    Args:
        config: Its configuration.

    Raises:
        CannotServe: vLLM and this package do not share it.
    """
    names = getattr(config, "architectures", None) or []
    found = next((FAMILIES[name] for name in names if name in FAMILIES), None)
    if found is None:
        raise CannotServe(
            f"edits cannot be served by vLLM for {', '.join(names) or 'this model'}; it can be "
            f"{', '.join(FAMILIES)}, or serve the model with `liveedit serve`"
        )
    return found


def image_token_of(config: Any) -> int:
    """Id of the placeholder of an image token.

    Args:
        config: Of the model.
    """
    for name in ("image_token_id", "image_token_index"):
        found = getattr(config, name, None)
        if isinstance(found, int):
            return found
    raise CannotServe("the model's config.json names no image token; give a model that sees")


def decoder_layers(model: Any) -> nn.ModuleList:
    """The decoder layers of a model as vLLM has loaded it.

    Raises:
        CannotServe: They are not where they were in the versions that were tested.
    """
    language_model = model.get_language_model()
    for path in _LAYERS:
        found: Any = language_model
        for name in path.split("."):
            found = getattr(found, name, None)
        if isinstance(found, nn.ModuleList):
            return found
    raise CannotServe(
        f"the decoder layers of {type(language_model).__name__} are not where they were; use a "
        "version of vLLM that was tested"
    )
