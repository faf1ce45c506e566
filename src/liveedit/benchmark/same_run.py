"""A folder holds one run, one tuning, one set of trials: what it was begun with is not mixed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from liveedit.errors import OtherRun


def refuse_another(
    folder: Path, there: Mapping[str, Any], settings: Mapping[str, Any], *, kept: str
) -> None:
    """See that a folder goes on with what it was begun with.

    Args:
        folder: Where results are.
        there: The settings that it was begun with, as they were read.
        settings: Those of now.
        kept: The file that holds them.

    Raises:
        OtherRun: They differ.
    """
    now = json.loads(json.dumps(settings))
    differing = sorted(key for key in there.keys() | now.keys() if there.get(key) != now.get(key))
    if differing:
        raise OtherRun(folder, differing, kept=kept)
