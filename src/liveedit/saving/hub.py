"""Edited models as folders and on the hub."""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from liveedit.errors import BadCheckpoint
from liveedit.methods.liveedit.checkpoint import save_editor
from liveedit.methods.liveedit.generator import Experts
from liveedit.methods.liveedit.routing import EditFeatures
from liveedit.saving.files import whole, write_whole
from liveedit.saving.fingerprint import weights_revision
from liveedit.store.base import Store
from liveedit.store.edit import Edit

if TYPE_CHECKING:
    from liveedit.editor import EditedModel

EDITS_FILE, EXPERTS_FILE, SOURCE_FILE = "edits.json", "edits.safetensors", "source.json"
_INSIDE = "backbone"  # where a backbone lies that was saved with its edits
_FORMAT = 1


def hub_folder(model: str | Path, *, revision: str | None = None) -> Path:
    """The folder of a model: itself, or where the hub's files are on this machine.

    Args:
        model: A folder, or ``owner/name``: fetched unless it was before.
        revision: On the hub.

    Raises:
        BadCheckpoint: There is neither.
    """
    folder = Path(model)
    if folder.is_dir() or str(model).count("/") != 1 or folder.is_absolute():
        return folder
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                str(model),
                revision=revision,
                allow_patterns=["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"],
            )
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise BadCheckpoint(
            f"there is no folder {model}, and nothing of that name on the hub can be had "
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__}); check the "
            "name and the network"
        ) from error


def save_edits(store: Store, folder: Path) -> None:
    """Write all edits that are not revoked; files appear whole or not at all.

    Args:
        store: Where the edits are.
        folder: There already.
    """
    pool = store.pool()
    names = pool.ids[: len(pool.told)]  # others may be written meanwhile
    known = store.some(names)
    rows = [row for row, name in enumerate(names) if name in known]
    experts, features = pool.take(torch.tensor(rows, dtype=torch.long)), pool.features
    tensors = {
        "u": experts.u,
        "v": experts.v,
        "vision": features.vision[rows],
        "prompt": features.prompt[rows],
        "sees": features.sees[rows],
    }
    with whole(folder / EXPERTS_FILE) as part:
        save_file({name: value.contiguous().cpu() for name, value in tensors.items()}, part)
        digest = hashlib.sha256(part.read_bytes()).hexdigest()
    described = {
        "format": _FORMAT,
        "sha256": digest,
        "edits": [
            asdict(replace(edit, supersedes=tuple(one for one in edit.supersedes if one in known)))
            | {"created": edit.created.isoformat()}
            for edit in known.values()
        ],
    }
    write_whole(folder / EDITS_FILE, json.dumps(described, indent=1, ensure_ascii=False) + "\n")


def load_edits(folder: Path, store: Store) -> None:
    """Add what `save_edits` wrote to a store.

    Raises:
        BadCheckpoint: The files are damaged, or of another format.
    """
    try:
        described = json.loads((folder / EDITS_FILE).read_text(encoding="utf-8"))
        if described["format"] != _FORMAT:
            raise BadCheckpoint(
                f"the edits in {folder} have format {described['format']}, this version reads "
                f"{_FORMAT}; install the liveedit they were saved with"
            )
        data = (folder / EXPERTS_FILE).read_bytes()
        if hashlib.sha256(data).hexdigest() != described["sha256"]:
            raise BadCheckpoint(
                f"{folder / EXPERTS_FILE} is damaged, or not of this {EDITS_FILE}; copy both again"
            )
        tensors = load_file(folder / EXPERTS_FILE)
        edits = [
            Edit(
                **one
                | {
                    "supersedes": tuple(one["supersedes"]),
                    "created": datetime.fromisoformat(one["created"]),
                }
            )
            for one in described["edits"]
        ]
        u, v, vision, prompt, sees = (
            tensors[name] for name in ("u", "v", "vision", "prompt", "sees")
        )
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise BadCheckpoint(f"{folder} holds no edits that can be read ({error})") from error
    if edits:
        store.add(edits, Experts(u=u, v=v), EditFeatures(vision=vision, prompt=prompt, sees=sees))


def save_pretrained(model: EditedModel, folder: str | Path, *, backbone: bool = False) -> Path:
    """Write an edited model: its editor, its edits, and which backbone they are of.

    Args:
        model: The edited model.
        folder: Made if missing.
        backbone: With the backbone's own weights and processor, which no edit ever changes; without
            them the folder names where they came from.
    """
    folder = Path(folder)
    fingerprint = model.backbone.fingerprint()
    source = {"model": model.backbone.source, "edit_layer": model.backbone.edit_layer}
    if backbone:
        source["model"] = _INSIDE
        model.backbone.model.save_pretrained(folder / _INSIDE)
        model.backbone.processor.save_pretrained(folder / _INSIDE)
        fingerprint |= {"backbone": _INSIDE, "weights": weights_revision(folder / _INSIDE)}
    save_editor(model.network, fingerprint, folder)
    save_edits(model.store, folder)
    (folder / SOURCE_FILE).write_text(json.dumps(source, indent=2) + "\n", encoding="utf-8")
    return folder


def saved_source(folder: Path) -> dict[str, Any] | None:
    """Which backbone a saved edited model is of; None if the folder is something else.

    Raises:
        BadCheckpoint: It cannot be read.
    """
    path = folder / SOURCE_FILE
    if not path.is_file():
        return None
    try:
        source = json.loads(path.read_text(encoding="utf-8"))
        return source | {
            "model": folder / _INSIDE if source["model"] == _INSIDE else source["model"]
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadCheckpoint(f"{path} cannot be read ({error}); save the model again") from error


def push_to_hub(
    model: EditedModel, repo_id: str, *, private: bool = True, backbone: bool = False, **more: Any
) -> str:
    """Save an edited model and send it to the hub.

    Args:
        model: The edited model.
        repo_id: ``owner/name``; made if missing.
        private: Whether a new repository is: edits tell what people corrected.
        backbone: See `save_pretrained`.
        more: For ``HfApi.upload_folder`` (revision, commit_message, ...).

    Returns:
        Address of the commit.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    api.create_repo(repo_id, private=private, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        save_pretrained(model, folder, backbone=backbone)
        return str(api.upload_folder(repo_id=repo_id, folder_path=folder, **more))
