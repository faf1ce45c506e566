"""What a worker of vLLM does beside its own work: it gives its edit layer the experts of edits."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from liveedit.errors import BadConfig
from liveedit.methods.shared.sentence_encoder import require_sentence_encoder
from liveedit.store.sql import SqlStore
from liveedit.vllm.checks import check_editor, edit_layer_of
from liveedit.vllm.models import decoder_layers, image_token_of
from liveedit.vllm.operators import register_layer
from liveedit.vllm.prompt_router import PromptRouter
from liveedit.vllm.served_layer import Arrival, ServedLayer, Step
from liveedit.vllm.settings import LAYER, WORDS, settings_of


class EditsRequests:
    """In front of a worker of vLLM among the bases of a class."""

    model_runner: Any
    served_layer: ServedLayer | None = None

    def load_model(self, *args: Any, **options: Any) -> None:
        """Load the model, and hook into its edit layer if that is on this worker."""
        super().load_model(*args, **options)  # type: ignore[misc]
        self.served_layer = install(self.model_runner)


def install(runner: Any) -> ServedLayer | None:
    """Hook into the edit layer of a model that vLLM has loaded.

    Args:
        runner: ``GPUModelRunner``, or the one for CPUs, which is derived from it.

    Returns:
        What happens there; None where the layer is on another worker (pipeline parallelism).
    """
    config = runner.vllm_config
    settings = settings_of(config.additional_config)
    if settings is None:
        raise BadConfig("this worker serves edits, and vLLM's --additional-config names none")
    layer = decoder_layers(runner.get_model())[edit_layer_of(settings)]
    parameter = next(layer.parameters(), None)
    if parameter is None:
        return None
    network = check_editor(config, settings).to(parameter.device)
    if config.additional_config.get(WORDS):
        require_sentence_encoder()  # not with the first question
    dtype = torch.float16 if settings.half else torch.float32
    store = SqlStore(settings.store, device=parameter.device, dtype=dtype)
    served = ServedLayer(
        PromptRouter(network, store),
        image_token_of(config.model_config.hf_config),
        parameter.device,
    )
    name = config.additional_config[LAYER]
    register_layer(name, served)
    layer.register_forward_hook(partial(_after, name))
    _follow_steps(runner, served)
    return served


def _after(name: str, _layer: object, _inputs: object, output: Any) -> None:
    hidden, residual = output if isinstance(output, tuple) else (output, None)
    torch.ops.liveedit.edit_layer(hidden, residual, name)


def _follow_steps(runner: Any, served: ServedLayer) -> None:
    """Have the layer know what each pass computes."""
    prepare, update = runner._prepare_inputs, runner._update_states

    def prepare_inputs(scheduled: Any, counts: Any) -> Any:
        batch = runner.input_batch
        served.begin(
            Step(
                requests=batch.req_ids,
                starts=batch.num_computed_tokens_cpu[: batch.num_reqs].copy(),
                counts=counts,
            ),
            [
                Arrival(
                    request=new.req_id,
                    prompt=new.prompt_token_ids,
                    fields=(new.sampling_params and new.sampling_params.extra_args) or {},
                )
                for new in scheduled.scheduled_new_reqs
            ],
        )
        return prepare(scheduled, counts)

    def update_states(scheduled: Any) -> Any:
        served.finish(scheduled.finished_req_ids)
        return update(scheduled)

    runner._prepare_inputs, runner._update_states = prepare_inputs, update_states
