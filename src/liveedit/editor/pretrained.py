"""Edited models as folders: the method, the edits, and which backbone they are of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from liveedit.backbones.at_layer import at_layer
from liveedit.backbones.base import Backbone
from liveedit.config import Config
from liveedit.errors import BadCheckpoint, BadSettings
from liveedit.methods.base import Method
from liveedit.saving.files import write_whole
from liveedit.saving.fingerprint import weights_revision
from liveedit.store.base import Store
from liveedit.store.kept_settings import identity_at
from liveedit.store.records import Identity
from liveedit.store.saved_edits import save_edits
from liveedit.store.sql import SqlStore

SOURCE_FILE = "source.json"
_CONFIG_FILE = "config.json"  # of an editor
_INSIDE = "backbone"  # where a backbone lies that was saved with its edits


def save_edited(method: Method, store: Store, folder: Path, *, backbone: bool) -> None:
    """Write an edited model.

    Args:
        method: The method, with its backbone.
        store: The edits.
        folder: Made if missing.
        backbone: With the backbone's own weights and processor, which no edit ever changes; without
            them the folder names where they came from.

    Raises:
        BadCheckpoint: The backbone is to be saved, and has an adapter.
    """
    model, fingerprint = method.backbone, method.backbone.fingerprint()
    source = {
        "model": model.source,
        "edit_layer": model.edit_layer,
        "method": method.name,
        "settings": method.config.model_dump(mode="json"),
    }
    if backbone and model.adapter is not None:
        raise BadCheckpoint(
            "the model has an adapter, and its weights cannot be saved with it; merge it "
            "(merge_and_unload of peft) and wrap the merged model, or save without backbone=True"
        )
    folder.mkdir(parents=True, exist_ok=True)
    if backbone:
        source["model"] = _INSIDE
        model.model.save_pretrained(folder / _INSIDE)
        model.processor.save_pretrained(folder / _INSIDE)
        fingerprint |= {"backbone": _INSIDE, "weights": weights_revision(folder / _INSIDE)}
    method.save(folder, fingerprint)
    save_edits(store, folder, method.layout)
    write_whole(folder / SOURCE_FILE, json.dumps(source, indent=2) + "\n")


def at_editors_layer(backbone: Backbone, folder: Path) -> Backbone:
    """The model at the edit layer that an editor was made for, if it has such a layer.

    Args:
        backbone: The model, at the layer that its family chooses; it is let go of if another is
            returned.
        folder: Of the editor. One that does not say is left for the method to judge.
    """
    try:
        described = json.loads((folder / _CONFIG_FILE).read_text(encoding="utf-8"))
        found = at_layer(backbone, int(described["backbone"]["edit_layer"]))
    except (OSError, ValueError, KeyError, TypeError):
        return backbone
    if found is not backbone:
        backbone.close()
    return found


def saved_source(folder: Path) -> dict[str, Any] | None:
    """Which backbone and method a saved edited model is of; None if the folder is something else.

    Raises:
        BadCheckpoint: It cannot be read.
    """
    path = folder / SOURCE_FILE
    if not path.is_file():
        return None
    try:
        source = json.loads(path.read_text(encoding="utf-8"))
        model = folder / _INSIDE if source["model"] == _INSIDE else source["model"]
        return {"method": "liveedit", "settings": None, **source, "model": model}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadCheckpoint(f"{path} cannot be read ({error}); save the model again") from error


def stored_identity(store: Store | str | Path | None) -> Identity | None:
    """What the edits of a lasting store were made with; None if there is none yet.

    Raises:
        StoreUnreachable: The store's database does not answer.
    """
    if isinstance(store, str | Path):
        return identity_at(store)
    return store.log.identity if isinstance(store, SqlStore) else None


def stored_config(identity: Identity | None, method: type[Method]) -> Config | None:
    """The settings that a store keeps; None if it keeps none of this method.

    Args:
        identity: Of the store.
        method: That edits will be made with.

    Raises:
        BadSettings: They are not what the method takes.
    """
    if identity is None or identity.method != method.name or not identity.settings:
        return None
    try:
        return method.config_class.model_validate(dict(identity.settings))
    except ValidationError as error:
        raise BadSettings(
            f"the store keeps settings that {method.name} does not take ({_first(error)}); give "
            "others (--settings, config=...), or have it keep others with: liveedit store settings"
        ) from error


def saved_config(folder: Path, method: type[Method]) -> Config | None:
    """The settings of a saved edited model; None if the folder holds none of this method.

    Raises:
        BadCheckpoint: They are not what the method takes.
    """
    source = saved_source(folder)
    if source is None or source["method"] != method.name or source["settings"] is None:
        return None
    try:
        return method.config_class.model_validate(source["settings"])
    except ValidationError as error:
        raise BadCheckpoint(
            f"{folder / SOURCE_FILE} holds settings that {method.name} does not take "
            f"({_first(error)}); give others, as `config`"
        ) from error


def _first(error: ValidationError) -> str:
    """Where the first problem is, and what."""
    problem = error.errors()[0]
    return f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
