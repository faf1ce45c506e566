"""Checkpoints of methods that were trained: what describes them as JSON, weights as safetensors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from liveedit.config import Config
from liveedit.errors import BadCheckpoint
from liveedit.methods.shared.memory.calibrated import CONFIG_FILE, unreadable
from liveedit.saving.files import whole, write_whole
from liveedit.saving.fingerprint import check_fingerprint

_FORMAT = 1
T = TypeVar("T", bound=Config)


def save_trained(
    module: nn.Module,
    settings: Mapping[str, Any],
    fingerprint: Mapping[str, object],
    folder: Path,
    *,
    method: str,
) -> None:
    """Write it; files appear whole or not at all.

    Args:
        module: What was trained.
        settings: What it is made with; JSON.
        fingerprint: Of the backbone it is for.
        folder: Made if missing.
        method: Name of the method it is for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: one.detach().cpu().contiguous() for name, one in module.state_dict().items()}
    with whole(folder / f"{method}.safetensors") as part:
        save_file(tensors, part)
    described = {
        "format": _FORMAT, "method": method, "backbone": dict(fingerprint), "trained": settings
    }  # fmt: skip
    write_whole(folder / CONFIG_FILE, json.dumps(described, indent=2) + "\n")


def trained_settings(
    folder: Path, fingerprint: Mapping[str, object], kind: type[T], *, method: str
) -> T:
    """What it was made with.

    Args:
        folder: Where it lies.
        fingerprint: Of the backbone it is wanted for.
        kind: Class of the settings.
        method: Name of the method it is wanted for.

    Raises:
        BadCheckpoint: It is something else, damaged, or of another format.
        BackboneMismatch: It is for another backbone.
    """
    try:
        described = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        if described.get("method") != method or described["format"] != _FORMAT:
            raise BadCheckpoint(
                f"{folder} holds nothing of {method} that this version reads; make it with: "
                f"liveedit train --method {method}"
            )
        settings = kind(**described["trained"])
        made_for = dict(described["backbone"])
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise unreadable(folder, error, method) from error
    check_fingerprint(made_for, fingerprint)
    return settings


def load_weights(module: nn.Module, folder: Path, *, method: str) -> None:
    """Read the weights of a module that was made with its settings.

    Raises:
        BadCheckpoint: They are of another one, or damaged.
    """
    try:
        tensors = load_file(folder / f"{method}.safetensors")
        if not all(torch.isfinite(one).all() for one in tensors.values()):
            raise ValueError("it holds NaN or infinity")
        module.load_state_dict(tensors)
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise unreadable(folder, error, method) from error


def digest_of(module: nn.Module) -> str:
    """SHA-256 of all weights, the first 16 hexadecimal digits."""
    found = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        found.update(name.encode())
        found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


def nothing_trained(method: str, model: str, source: str) -> BadCheckpoint:
    """What is said where a method is asked for without what was trained."""
    return BadCheckpoint(
        f"there is nothing trained for {model}: run `liveedit train --method {method} --model "
        f"{source} --out OUT` and give OUT/editor"
    )
