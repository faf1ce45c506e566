"""Loading advises no other library, and warns all the same."""

from logging import getLogger
from pathlib import Path

from transformers.utils import logging

from liveedit.backbones.quiet import bars_of_large_models, without_advice


def test_advice_is_left_out_and_warnings_are_not() -> None:
    advice = logging.get_logger("transformers.utils.import_utils")
    warnings = logging.get_logger("transformers.modeling_utils")
    verbosity = logging.get_verbosity()
    logging.set_verbosity_warning()
    try:
        with without_advice():
            assert not advice.isEnabledFor(logging.WARNING)
            assert not getLogger("torchao").isEnabledFor(logging.WARNING)
            assert warnings.isEnabledFor(logging.WARNING)
        assert advice.isEnabledFor(logging.WARNING)
        assert getLogger("torchao").isEnabledFor(logging.WARNING)
    finally:
        logging.set_verbosity(verbosity)


def test_bars_are_shown_for_large_models_alone(tmp_path: Path, monkeypatch) -> None:
    shown = logging.is_progress_bar_enabled()
    (tmp_path / "model.safetensors").write_bytes(b"12345678")
    with bars_of_large_models(tmp_path):
        assert not logging.is_progress_bar_enabled()
    assert logging.is_progress_bar_enabled() == shown
    monkeypatch.setattr("liveedit.backbones.quiet._WAITED_FOR", 8)
    with bars_of_large_models(tmp_path):
        assert logging.is_progress_bar_enabled() == shown
