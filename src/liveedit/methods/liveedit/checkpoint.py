"""An editor checkpoint: a folder with ``config.json`` and ``editor.safetensors``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from liveedit.errors import BadCheckpoint
from liveedit.methods.liveedit.config import SAME_QUESTION, EditorConfig
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.saving.files import whole, write_whole
from liveedit.saving.fingerprint import check_fingerprint

CONFIG_FILE, WEIGHTS_FILE = "config.json", "editor.safetensors"
_FORMAT = 1
# switches that came later: off in checkpoints without them, whose digests stay what they were
_SINCE = (
    "subject_filter",
    "picture_filter",
    "context_gain",
    "by_line",
    "sentence_encoder",
    "calibrated",
)


def save_editor(
    network: EditorNetwork, fingerprint: Mapping[str, object], folder: str | Path
) -> None:
    """Write a checkpoint; files appear whole or not at all.

    Args:
        network: What was trained.
        fingerprint: See :meth:`liveedit.backbones.base.Backbone.fingerprint`.
        folder: Made if missing.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    described = {
        "format": _FORMAT,
        "backbone": dict(fingerprint),
        "editor": network.config.model_dump(exclude=_unset(network.config)),
    }
    tensors = {name: value.contiguous() for name, value in network.state_dict().items()}
    with whole(folder / WEIGHTS_FILE) as part:
        save_file(tensors, part)
    write_whole(folder / CONFIG_FILE, json.dumps(described, indent=2) + "\n")


def load_editor(folder: str | Path, fingerprint: dict[str, object]) -> EditorNetwork:
    """Read a checkpoint made for this backbone.

    Returns:
        The network, float32, in evaluation mode.

    Raises:
        BadCheckpoint: Not a checkpoint, damaged, or of another format.
        BackboneMismatch: Trained for another backbone, or another layer of it.
    """
    folder = Path(folder)
    try:
        described = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        if described["format"] != _FORMAT:
            raise BadCheckpoint(
                f"{folder} has checkpoint format {described['format']}, this version reads "
                f"{_FORMAT}; install the liveedit it was made with, or train it again"
            )
        trained_for = described["backbone"]
        config = EditorConfig(**(dict.fromkeys(_SINCE, 0) | described["editor"]))
        tensors = load_file(folder / WEIGHTS_FILE)
    except (OSError, KeyError, TypeError, ValueError, ValidationError, SafetensorError) as error:
        raise BadCheckpoint(
            f"{folder} is not an editor checkpoint ({_first_line(error)}); give the folder that "
            f"liveedit train or liveedit calibrate wrote, with {CONFIG_FILE} and {WEIGHTS_FILE}"
        ) from error
    check_fingerprint(trained_for, fingerprint)
    width = trained_for["width"]
    network = EditorNetwork(config, width)
    wanted = {name: value.shape for name, value in network.state_dict().items()}
    if wanted != {name: value.shape for name, value in tensors.items()}:
        raise BadCheckpoint(
            f"the weights in {folder} do not fit its {CONFIG_FILE}; copy the checkpoint again, "
            "both files together"
        )
    if not all(torch.isfinite(value).all() for value in tensors.values()):
        raise BadCheckpoint(f"the weights in {folder} hold NaN or infinity; copy them again")
    network.load_state_dict({name: value.float() for name, value in tensors.items()})
    return network.eval().requires_grad_(False)


def editor_digest(network: EditorNetwork) -> str:
    """SHA-256 over the settings and weights of an editor, the first 16 hexadecimal digits."""
    config = network.config
    stored_alike = _unset(config) | {"sentence_encoder"}  # edits are the same with and without it
    digest = hashlib.sha256(config.model_dump_json(exclude=stored_alike).encode())
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _unset(config: EditorConfig) -> set[str]:
    """Later settings that are as they were before them: so are files and digests."""
    unset = {name for name in _SINCE if not getattr(config, name)}
    return unset | ({"same_question"} if config.same_question == SAME_QUESTION else set())


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
