"""The log of a tuning: a line of JSON for each trial, written as soon as the trial has ended."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from liveedit.errors import BadRun


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What came of some settings.

    Args:
        trial: Its number, from 1 on.
        settings: Those that are searched.
        score: What is sought, in per cent; 0, the worst there is, for one that failed.
        exact_match: What the score is the mean of, in per cent.
        seconds: That it took.
        failed: Why it could not be finished.
    """

    trial: int
    settings: dict[str, Any]
    score: float
    exact_match: dict[str, float]
    seconds: float
    failed: str | None = None


def read_trials(path: Path) -> list[Trial]:
    """The trials that have ended.

    Args:
        path: The log; one that is not there has none. What a kill left of a last line is no trial.

    Raises:
        BadRun: A line is damaged.
    """
    if not path.exists():
        return []
    found = []
    for number, line in enumerate(_whole_lines(path).decode().splitlines(), 1):
        try:
            found.append(Trial(**json.loads(line)))
        except (ValueError, TypeError) as error:
            raise BadRun(
                f"line {number} of {path} cannot be read ({error}); remove it and those after it, "
                "and start again"
            ) from error
    return found


def append_trial(path: Path, trial: Trial) -> None:
    """Write a trial, and see it on the disk.

    Args:
        path: The log. What a kill left of a last line is taken off.
        trial: The next one.
    """
    line = json.dumps(asdict(trial), ensure_ascii=False).encode() + b"\n"
    kept = len(_whole_lines(path)) if path.exists() else 0
    with path.open("r+b" if path.exists() else "wb") as file:
        file.truncate(kept)
        file.seek(kept)
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def _whole_lines(path: Path) -> bytes:
    content = path.read_bytes()
    return content[: content.rfind(b"\n") + 1]
