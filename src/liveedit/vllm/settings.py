"""Settings of the plugin: what ``--additional-config`` of vLLM holds under ``liveedit``."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from liveedit.config import Config
from liveedit.errors import BadConfig

KEY = "liveedit"
# beside it: by which name the operator finds the edit layer, and whether words are compared
LAYER, WORDS = "liveedit_layer", "liveedit_words"


class ServingSettings(Config):
    """Which edits are served.

    Args:
        editor: Folder of the editor that the edits were made with.
        store: File or URL of the store.
        namespaces: Sets of edits that requests may ask for; by default only the one without a name.
        half: Hold what queries are compared with in half precision.
    """

    editor: str
    store: str
    namespaces: tuple[str, ...] = ("",)
    half: bool = False


def settings_of(additional: Any) -> ServingSettings | None:
    """The plugin's settings; None if vLLM is to serve without edits.

    Args:
        additional: ``additional_config`` of vLLM.

    Raises:
        BadConfig: They are there and cannot be used.
    """
    if not isinstance(additional, dict) or KEY not in additional:
        return None
    try:
        return ServingSettings.model_validate(additional[KEY])
    except ValidationError as error:
        found = error.errors()[0]
        where = ".".join(map(str, (KEY, *found["loc"])))
        raise BadConfig(
            f"{where} of vLLM's --additional-config cannot be used ({found['msg']}); give "
            '{"liveedit": {"editor": FOLDER, "store": FILE_OR_URL, "namespaces": [NAME, ...]}}'
        ) from error
