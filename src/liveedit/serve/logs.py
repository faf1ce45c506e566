"""The log of a server: one object of JSON a line."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime


class JsonLines(logging.Formatter):
    """What happened, as JSON; of an exception the kind and the way, not what it says.

    Args:
        whole: What exceptions say, too: it may quote what was asked.
    """

    def __init__(self, *, whole: bool = False) -> None:
        super().__init__()
        self._whole = whole

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        row = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.casefold(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info and record.exc_info[0]:
            kind, error, way = record.exc_info
            row["exception"] = f"{kind.__name__}: {error}" if self._whole else kind.__name__
            row["traceback"] = traceback.format_tb(way)
        return json.dumps(row, default=str)


def log_to_stderr(*, whole: bool = False) -> None:
    """Write what the server and uvicorn have to say."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(whole=whole))
    for name in ("liveedit", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)
