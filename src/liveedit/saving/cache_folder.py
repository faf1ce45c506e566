"""Where models that were put together and states that were computed are kept."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path


def cache_folder() -> Path:
    """The user's cache folder, or what the environment variable ``LIVEEDIT_CACHE`` names."""
    return Path(os.environ.get("LIVEEDIT_CACHE") or user_cache_path("liveedit"))
