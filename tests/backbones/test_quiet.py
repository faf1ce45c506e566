"""Loading advises no other library, and warns all the same."""

from logging import WARNING, getLogger
from pathlib import Path

from transformers.utils import logging

from liveedit.backbones.quiet import bars_of_large_models, without_advice


def test_advice_is_left_out_and_warnings_are_not() -> None:
    talkative = [getLogger("transformers.utils.import_utils"), getLogger("torchao")]
    warnings = getLogger("transformers.modeling_utils")
    levels = {logger: logger.level for logger in (*talkative, warnings)}
    for logger in levels:  # the command line may have been here before
        logger.setLevel(WARNING)
    try:
        with without_advice():
            assert not any(logger.isEnabledFor(WARNING) for logger in talkative)
            assert warnings.isEnabledFor(WARNING)
        assert all(logger.isEnabledFor(WARNING) for logger in talkative)
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


def test_bars_are_shown_for_large_models_alone(tmp_path: Path, monkeypatch) -> None:
    shown = logging.is_progress_bar_enabled()
    (tmp_path / "model.safetensors").write_bytes(b"12345678")
    with bars_of_large_models(tmp_path):
        assert not logging.is_progress_bar_enabled()
    assert logging.is_progress_bar_enabled() == shown
    monkeypatch.setattr("liveedit.backbones.quiet._WAITED_FOR", 8)
    with bars_of_large_models(tmp_path):
        assert logging.is_progress_bar_enabled() == shown
