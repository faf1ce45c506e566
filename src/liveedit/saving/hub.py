"""The hub: files of a model fetched by its id, and folders sent there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from liveedit.errors import BadCheckpoint


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


def cached_folder(model: str | Path, *, revision: str | None = None) -> Path | None:
    """The folder of a model that is on this machine already; nothing is fetched.

    Args:
        model: A folder, or ``owner/name`` on the hub.
        revision: On the hub.
    """
    folder = Path(model)
    if folder.is_dir():
        return folder
    if str(model).count("/") != 1 or folder.is_absolute():
        return None
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(str(model), revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        return None


def upload_folder(folder: Path, repo_id: str, *, private: bool, **more: Any) -> str:
    """Send a folder to the hub.

    Args:
        folder: What to send.
        repo_id: ``owner/name``; made if missing.
        private: Whether a new repository is.
        more: For ``HfApi.upload_folder`` (revision, commit_message, ...).

    Returns:
        Address of the commit.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    api.create_repo(repo_id, private=private, exist_ok=True)
    return str(api.upload_folder(repo_id=repo_id, folder_path=folder, **more))
