"""Folders of PEFT adapters: which model they are for, and how they are put onto it."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any, Literal, TypeAlias

from safetensors import SafetensorError, safe_open
from transformers import PreTrainedModel

from liveedit.backbones.adapters import Adapter, adapter_in_force
from liveedit.errors import BadCheckpoint, MissingExtra
from liveedit.saving.hub import cached_folder, hub_folder

AdapterUse: TypeAlias = Literal["active", "merged"]
CONFIG_FILE, WEIGHTS_FILE = "adapter_config.json", "adapter_model.safetensors"


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter, and no model of its own."""
    return (folder / CONFIG_FILE).is_file() and not (folder / "config.json").is_file()


def adapter_settings(folder: Path) -> dict[str, Any]:
    """What PEFT wrote of an adapter.

    Raises:
        BadCheckpoint: It cannot be read.
    """
    try:
        settings = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        if not isinstance(settings, dict):
            raise ValueError("it is no JSON object")
    except (OSError, ValueError) as error:
        raise BadCheckpoint(
            f"{folder / CONFIG_FILE} cannot be read ({error}); save the adapter again with "
            "save_pretrained"
        ) from error
    return settings


def described(settings: dict[str, Any]) -> str:
    """An adapter in a few words: its kind, rank and places."""
    words = [str(settings.get("peft_type", "adapter"))]
    if settings.get("r"):
        words.append(f"of rank {settings['r']}")
    places = settings.get("target_modules")
    if places:
        words.append(f"on {places if isinstance(places, str) else ', '.join(sorted(places))}")
    return " ".join(words)


def adapter_base(folder: Path, base: str | Path | None, *, fetch: bool) -> str | Path:
    """The model that an adapter is for: a folder, or a name as ``load_backbone`` takes it.

    Args:
        folder: Of the adapter.
        base: Said by the caller; by default what the adapter's configuration says.
        fetch: Whether the network may be asked for it: it may where the adapter came from there.

    Raises:
        BadCheckpoint: It is not on this machine, or the adapter does not say what it is for.
    """
    if base is not None:
        return base
    settings = adapter_settings(folder)
    told = settings.get("base_model_name_or_path")
    if not told:
        raise BadCheckpoint(
            f"the adapter in {folder} does not say which model it is for; write that model's "
            f"folder into {CONFIG_FILE} as base_model_name_or_path, or give it as base="
        )
    beside = folder / told
    found = beside if beside.is_dir() and not Path(told).is_dir() else None
    if found is None:
        revision = settings.get("revision")
        find = hub_folder if fetch else cached_folder
        found = find(told, revision=revision)
    if found is None or not found.is_dir():
        raise BadCheckpoint(
            f"the adapter in {folder} is for {told}, which is not on this machine; fetch it (hf "
            f"download), write where it is into {CONFIG_FILE} as base_model_name_or_path, or give "
            "its folder as base="
        )
    return found


def put_adapter(model: PreTrainedModel, folder: Path, use: AdapterUse) -> Adapter:
    """Put an adapter onto its model, in place.

    Args:
        model: The base model.
        folder: Of the adapter.
        use: ``active``: beside the weights, as it was trained; ``merged`` into them, which costs
            nothing when the model is run and rounds a little.

    Returns:
        What it adds.

    Raises:
        BadCheckpoint: It is not for this model, acts outside of its layers, is a pickle, or cannot
            be merged.
        MissingExtra: peft is not installed.
    """
    wanted, settings = check_adapter(folder)
    from peft import PeftModel

    try:
        with warnings.catch_warnings():  # of transformers, about what peft asks it
            warnings.simplefilter("ignore", FutureWarning)
            adapted = PeftModel.from_pretrained(model, str(folder), config=settings)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise _other_model(folder, " ".join(str(error).split())[:200]) from error
    missing = wanted ^ _names_on_model(adapted)
    if missing:
        raise _other_model(folder, f"{len(missing)} of its tensors have no place there")
    adapter = adapter_in_force(model)
    if adapter is None:
        raise _other_model(folder, "no layer of the model takes it")
    if use == "merged":
        try:
            adapted.merge_and_unload()
        except (AttributeError, NotImplementedError, RuntimeError, ValueError) as error:
            raise BadCheckpoint(
                f"the adapter in {folder} cannot be merged ({error}); use it beside the weights: "
                "adapter='active'"
            ) from error
    return Adapter(names=(folder.resolve().name,), digest=adapter.digest)


def check_adapter(folder: Path) -> tuple[set[str], Any]:
    """Look at an adapter without a model.

    Returns:
        Names of its tensors, and PEFT's configuration.

    Raises:
        BadCheckpoint: It acts outside of a model's layers, is a pickle, or cannot be read.
        MissingExtra: peft is not installed.
    """
    try:
        from peft import PeftConfig
    except ImportError as error:
        raise MissingExtra("peft", extra="peft") from error
    names = _names_of_weights(folder)
    try:
        settings = PeftConfig.from_pretrained(str(folder))
    except (KeyError, TypeError, ValueError) as error:
        raise BadCheckpoint(
            f"peft cannot read {folder / CONFIG_FILE} ({error}); install the peft that the "
            "adapter was saved with"
        ) from error
    check_in_layers(settings)
    return names, settings


def check_in_layers(settings: Any) -> None:
    """Refuse adapters that act outside of the model's layers, where edits cannot meet them.

    Raises:
        BadCheckpoint: It is such.
    """
    if settings.is_prompt_learning or getattr(settings, "alora_invocation_tokens", None):
        kind = getattr(settings.peft_type, "value", settings.peft_type)
        raise BadCheckpoint(
            f"an adapter of the kind {kind} is not part of the model's layers, and edits would be "
            "made without it; use one that is (LoRA, IA3, OFT and the like)"
        )


def _names_of_weights(folder: Path) -> set[str]:
    """Names of an adapter's tensors; a pickle is not opened."""
    try:
        with safe_open(folder / WEIGHTS_FILE, framework="pt") as file:
            return set(file.keys())
    except (OSError, SafetensorError) as error:
        others = sorted(path.name for path in folder.glob("adapter_model.*"))
        found = f"only {', '.join(others)}" if others else "no weights"
        raise BadCheckpoint(
            f"the adapter in {folder} has {found}, and {WEIGHTS_FILE} is needed; save it again "
            "with save_pretrained of peft"
        ) from error


def _names_on_model(adapted: Any) -> set[str]:
    from peft import get_peft_model_state_dict

    return set(get_peft_model_state_dict(adapted))


def _other_model(folder: Path, why: str) -> BadCheckpoint:
    return BadCheckpoint(
        f"the adapter in {folder} does not fit this model ({why}); give the model it was trained "
        "on as base="
    )
