"""The entry point that vLLM calls in every process when it starts.

Nothing is changed unless ``--additional-config`` has settings for liveedit. Then the front end
checks them, puts vLLM's own worker and scheduler behind ours, and looks after requests.
"""

from __future__ import annotations

import logging
import os
from itertools import count
from typing import Any

from liveedit.errors import CannotServe
from liveedit.vllm.settings import LAYER, WORDS, settings_of

_log = logging.getLogger(__name__)
_engines = count()  # several may live in one process


def register() -> None:
    """Be there when vLLM makes its configuration; a second time changes nothing."""
    from vllm.engine.arg_utils import EngineArgs

    create = EngineArgs.create_engine_config
    if create.__module__ == __name__:
        return

    def create_engine_config(self: Any, *args: Any, **options: Any) -> Any:
        if settings_of(self.additional_config) is None:
            return create(self, *args, **options)
        _before(self)
        config = create(self, *args, **options)
        prepare(config)
        return config

    EngineArgs.create_engine_config = create_engine_config


def _before(arguments: Any) -> None:
    """Settings that must be made before vLLM derives others from them."""
    import vllm
    from vllm import envs

    from liveedit.vllm.checks import check_version

    check_version(vllm.__version__)
    if envs.VLLM_USE_V2_MODEL_RUNNER:
        raise CannotServe(
            "edits cannot be served with the second model runner; start vLLM with "
            "VLLM_USE_V2_MODEL_RUNNER=0"
        )
    if arguments.enable_chunked_prefill or arguments.long_prefill_token_threshold:
        _log.warning(
            "chunked prefill is switched off: which edits concern a prompt is known when it is "
            "computed whole"
        )
    arguments.enable_chunked_prefill = False
    arguments.long_prefill_token_threshold = 0
    os.environ.setdefault("VLLM_USE_V2_MODEL_RUNNER", "0")


def prepare(config: Any) -> None:
    """Check vLLM's configuration, and have it serve edits.

    Args:
        config: ``VllmConfig``, which is changed.

    Raises:
        LiveEditError: Edits cannot be served so; nothing was loaded.
    """
    from liveedit.methods.liveedit.checkpoint import editor_digest
    from liveedit.vllm.checks import (
        WORKERS,
        check_editor,
        check_engine,
        check_store,
        compares_words,
        edit_layer_of,
    )
    from liveedit.vllm.front_end import patch

    settings = settings_of(config.additional_config)
    assert settings is not None
    check_engine(config)
    network = check_editor(config, settings)
    check_store(settings, network, config.model_config.hf_text_config.hidden_size)
    # what vLLM keeps of a compiled model is found again by this, among others: a model that was
    # compiled for another editor is compiled anew
    layer = f"liveedit.{next(_engines)}.{edit_layer_of(settings)}.{editor_digest(network)[:16]}"
    words = compares_words(settings, network)
    config.additional_config = {**config.additional_config, LAYER: layer, WORDS: words}
    config.parallel_config.worker_cls = WORKERS[config.parallel_config.worker_cls]
    kind = "AsyncWholePrompts" if config.scheduler_config.async_scheduling else "WholePrompts"
    config.scheduler_config.scheduler_cls = f"liveedit.vllm.scheduler.{kind}"
    operators = config.compilation_config.splitting_ops
    if operators is not None and "liveedit::edit_layer" not in operators:
        operators.append("liveedit::edit_layer")
    patch()
