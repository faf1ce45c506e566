"""Settings of methods that learn nothing beforehand, as a folder that an edited model is saved to.

Where edits depend on settings, such as the layer, a saved model must come back with its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from liveedit.config import Config
from liveedit.errors import BadCheckpoint
from liveedit.saving.files import write_whole
from liveedit.saving.fingerprint import check_fingerprint

SETTINGS_FILE = "config.json"
_FORMAT = 1


def write_settings(
    folder: Path, method: str, config: Config, fingerprint: Mapping[str, object]
) -> None:
    """Write them, whole or not at all.

    Args:
        folder: Made if missing.
        method: Name of the method.
        config: Its settings.
        fingerprint: Of the backbone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    described = {
        "format": _FORMAT,
        "method": method,
        "backbone": dict(fingerprint),
        "config": config.model_dump(mode="json"),
    }
    write_whole(folder / SETTINGS_FILE, json.dumps(described, indent=2) + "\n")


def read_settings(
    folder: Path, method: str, kind: type[Config], fingerprint: Mapping[str, object]
) -> Config:
    """Read them.

    Args:
        folder: Where they are.
        method: Name of the method.
        kind: Class of its settings.
        fingerprint: Of the backbone.

    Raises:
        BadCheckpoint: It is something else, damaged, or of another format.
        BackboneMismatch: It is for another backbone.
    """
    path = folder / SETTINGS_FILE
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        if described.get("method") != method or described["format"] != _FORMAT:
            raise BadCheckpoint(
                f"{folder} holds no settings of {method} that this version reads; the method needs "
                "no editor: leave it out"
            )
        config = kind.model_validate(described["config"])
        made_for = dict(described["backbone"])
    except (OSError, KeyError, TypeError, ValueError, AttributeError, ValidationError) as error:
        problem = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadCheckpoint(
            f"{folder} cannot be read ({problem}); {method} needs no editor: leave it out"
        ) from error
    check_fingerprint(made_for, fingerprint)
    return config
