"""Loading without notices that nobody can use; what transformers says otherwise stays as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from logging import ERROR, getLogger
from pathlib import Path

from transformers.utils import logging

_TALKATIVE = ("transformers.utils.import_utils", "torchao", "torch.utils._pytree")
_WAITED_FOR = 2_000_000_000  # bytes of weights that take long enough for a progress bar


@contextmanager
def without_advice() -> Iterator[None]:
    """Within this context no library is advised, and torchao says nothing of what it can't load.

    transformers imports torchao wherever it is installed; other warnings are given.
    """
    loggers = [getLogger(name) for name in _TALKATIVE]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
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
