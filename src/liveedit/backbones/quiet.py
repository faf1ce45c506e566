"""Loading without notices that nobody can use; what transformers says otherwise stays as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transformers.utils import logging

_WAITED_FOR = 2_000_000_000  # bytes of weights that take long enough for a progress bar


@contextmanager
def without_advice() -> Iterator[None]:
    """Within this context transformers advises no other library; other warnings it gives."""
    logger = logging.get_logger("transformers.utils.import_utils")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def bars_of_large_models(folder: Path) -> Iterator[None]:
    """Within this context transformers shows no progress bar if a model is loaded in a moment."""
    shown = logging.is_progress_bar_enabled()
    if sum(file.stat().st_size for file in folder.glob("*.safetensors")) < _WAITED_FOR:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
