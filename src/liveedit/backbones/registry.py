"""From a name, a folder or a hub id to a backbone."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForImageTextToText, PreTrainedConfig

from liveedit.backbones.adapter_folders import (
    AdapterUse,
    adapter_base,
    is_adapter,
    put_adapter,
)
from liveedit.backbones.base import Backbone
from liveedit.backbones.precision import fast_dtype
from liveedit.backbones.processors import processor_class
from liveedit.backbones.quantisation import check_readable
from liveedit.backbones.quiet import bars_of_large_models, without_advice
from liveedit.backbones.sources import ModelSource, model_source, source_at
from liveedit.errors import BadCheckpoint, UnknownFamily
from liveedit.saving.fingerprint import weights_revision
from liveedit.saving.hub import hub_folder

logger = logging.getLogger(__name__)

PLUGINS = "liveedit.backbones"  # group of entry points: family = "module:Class"
_HERE = "liveedit.backbones"
_OURS = {
    "llava": f"{_HERE}.llava:LlavaBackbone",
    "llava_next": f"{_HERE}.llava:LlavaNextBackbone",
    "llava_onevision": f"{_HERE}.llava:LlavaOnevisionBackbone",
    "blip-2": f"{_HERE}.blip2:Blip2Backbone",
    "minigpt4": f"{_HERE}.minigpt4:MiniGPT4Backbone",
    "qwen2_vl": f"{_HERE}.qwen_vl:Qwen2VLBackbone",
    "qwen2_5_vl": f"{_HERE}.qwen_vl:Qwen25VLBackbone",
    "qwen3_vl": f"{_HERE}.qwen_vl:Qwen3VLBackbone",
    "idefics3": f"{_HERE}.tiles:Idefics3Backbone",
    "smolvlm": f"{_HERE}.tiles:SmolVLMBackbone",
    "internvl": f"{_HERE}.tiles:InternVLBackbone",
    "gemma3": f"{_HERE}.gemma:Gemma3Backbone",
    "paligemma": f"{_HERE}.gemma:PaliGemmaBackbone",
}


def families() -> dict[str, str]:
    """Where each supported family's class is: ours, and those of installed plugins."""
    return {plugin.name: plugin.value for plugin in entry_points(group=PLUGINS)} | _OURS


def backbone_class(family: str) -> type[Backbone]:
    """The class of a family.

    Raises:
        UnknownFamily: It is not supported.
    """
    known = families()
    if family not in known:
        near = difflib.get_close_matches(family, known, n=1)
        raise UnknownFamily(family, known=sorted(known), nearest=near[0] if near else None)
    module, _, name = known[family].partition(":")
    return getattr(import_module(module), name)


def family_of(config: PreTrainedConfig) -> str:
    """The family a model is of: what we wrote into its configuration, or its type."""
    return getattr(config, "liveedit_family", None) or config.model_type


@without_advice()
def load_backbone(
    model: str | Path,
    *,
    device: str = "cpu",
    device_map: str | Mapping[str, Any] | None = None,
    dtype: torch.dtype | None = None,
    quantization_config: Any = None,
    edit_layer: int | None = None,
    revision: str | None = None,
    adapter: AdapterUse = "active",
    base: str | Path | None = None,
    weights: bool = True,
) -> Backbone:
    """Load a model and its processor.

    Args:
        model: A name such as ``pocket`` (built into the cache on first use; see
            :mod:`liveedit.backbones.sources`); the folder of a transformers model or of an adapter
            of PEFT; or the id of one on the hub (``owner/name``), fetched unless it was before.
        device: Where the weights go.
        device_map: How Accelerate spreads them instead, for instance ``auto``.
        dtype: What the language model computes in; by default what the device is fast at, see
            :func:`liveedit.backbones.precision.fast_dtype`.
        quantization_config: Of transformers; edits are made all the same, at full precision.
        edit_layer: Decoder layer that is read and edited; the family's own choice by default.
        revision: Of a model on the hub.
        adapter: Whether an adapter is ``active`` beside the weights, as it was trained, or
            ``merged`` into them, which costs nothing when the model is run and rounds a little.
        base: The model that an adapter is for; by default what its configuration says.
        weights: False for a backbone that only tokenises: no weights are read.

    Raises:
        BadCheckpoint: There is no such model, it cannot be read, or the base of an adapter is not
            on this machine.
        MissingExtra: A package that an adapter or quantised weights need is not installed.
        UnknownFamily: It is of no supported family.
    """
    found = _found(model, revision=revision)
    adapter_folder: Path | None = None
    if found.source is None and is_adapter(found.folder):
        adapter_folder = found.folder
        named = adapter_base(adapter_folder, base, fetch=found.by_name)
        found = replace(_found(named), location=found.location)
        if is_adapter(found.folder):
            raise BadCheckpoint(
                f"{named}, which the adapter in {adapter_folder} is for, is itself an adapter; "
                "merge that into its model, save the model, and give its folder as base="
            )
    try:
        config = AutoConfig.from_pretrained(found.folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise BadCheckpoint(
            f"{model} is no folder with a transformers model or an adapter of one; give such a "
            "folder, the id of a model on the hub (owner/name), or 'pocket'"
        ) from error
    family = backbone_class(family_of(config))
    folder = found.folder
    loaded = _model(folder, config, device, device_map, dtype, quantization_config, weights=weights)
    source = found.source or source_at(folder)
    if source is not None:
        source.prepare(loaded)
    processor = _processor(folder, config, model)
    layers = config.get_text_config().num_hidden_layers
    added = None
    if adapter_folder is not None and weights:
        added = put_adapter(loaded, adapter_folder, adapter)
    return family(
        loaded,
        processor,
        edit_layer=family.default_edit_layer(layers) if edit_layer is None else edit_layer,
        name=found.name,
        source=found.location,
        editors={} if source is None else source.editors,
        revision=weights_revision(folder),
        adapter=added,
    )


@dataclass(frozen=True, kw_only=True)
class _Found:
    """Where a model is, what it is called, and what it is loaded from again."""

    folder: Path
    name: str
    location: str
    source: ModelSource | None

    @property
    def by_name(self) -> bool:
        """Whether it was not given as a folder."""
        return self.location != str(self.folder.resolve())


def _found(model: str | Path, *, revision: str | None = None) -> _Found:
    source = model_source(str(model))
    folder = hub_folder(model, revision=revision) if source is None else source.build()
    by_name = source is not None or folder != Path(model)
    return _Found(
        folder=folder,
        name=folder.resolve().name if source is not None or not by_name else str(model),
        location=str(model) if by_name else str(folder.resolve()),
        source=source,
    )


def _processor(folder: Path, config: PreTrainedConfig, model: str | Path) -> Any:
    try:
        processor = processor_class(config).from_pretrained(folder, local_files_only=True)
    except (ImportError, OSError, ValueError) as error:
        raise BadCheckpoint(
            f"the processor of {model} cannot be loaded ({_sentence(error)}); install what it asks "
            "for, or copy the processor's files beside the model"
        ) from error
    processor.tokenizer.padding_side = "left"
    return processor


def _model(
    folder: Path,
    config: PreTrainedConfig,
    device: str,
    device_map: str | Mapping[str, Any] | None,
    dtype: torch.dtype | None,
    quantization_config: Any,
    *,
    weights: bool,
) -> Any:
    if not weights:
        with torch.device("meta"):
            return AutoModelForImageTextToText.from_config(config)
    check_readable(folder, quantization_config or getattr(config, "quantization_config", None))
    # None would say that weights which are quantised in their files are not
    given = {} if quantization_config is None else {"quantization_config": quantization_config}
    try:
        with bars_of_large_models(folder):
            loaded, report = AutoModelForImageTextToText.from_pretrained(
                folder,
                dtype=dtype or fast_dtype(device),
                device_map=device_map,
                local_files_only=True,
                output_loading_info=True,
                **given,
            )
    except ImportError as error:
        raise BadCheckpoint(
            f"the weights in {folder} cannot be read here ({_sentence(error)}); install what they "
            "ask for"
        ) from error
    if report["missing_keys"]:
        logger.warning(
            "%s lacks %d of the model's tensors (%s ...): they are random; look whether all files "
            "are there", folder, len(report["missing_keys"]), min(report["missing_keys"]),
        )  # fmt: skip
    return loaded.to(device) if device_map is None else loaded


def _sentence(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
