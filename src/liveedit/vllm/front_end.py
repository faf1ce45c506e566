"""What happens to a request in vLLM's front end, before it is sent to the engine.

There the request is checked, the revision that it is answered with is fixed, the same for all
workers and for all of its ``n`` answers, and what the workers need of its pictures is put beside
it.
"""

from __future__ import annotations

from typing import Any

from vllm.exceptions import VLLMValidationError
from vllm.renderers.base import BaseRenderer
from vllm.sampling_params import SamplingParams
from vllm.v1.engine.input_processor import InputProcessor

from liveedit.errors import BadRequestField, UnknownRevision
from liveedit.store.log import EditLog
from liveedit.vllm.asked import DISABLED, NAMESPACE, PICTURES, REVISION, Asked, read_asked
from liveedit.vllm.pictures import given_pictures, to_send
from liveedit.vllm.settings import ServingSettings, settings_of

_SENT = "liveedit_sent"  # beside the inputs that vLLM makes of a prompt
_logs: dict[str, EditLog] = {}


def patch() -> None:
    """Have vLLM's front end do this; a second time changes nothing."""
    if InputProcessor.process_inputs.__module__ == __name__:
        return
    process, multimodal = InputProcessor.process_inputs, BaseRenderer._process_multimodal

    def process_inputs(
        self: Any, request_id: str, prompt: Any, params: Any, *a: Any, **k: Any
    ) -> Any:
        settings = settings_of(self.vllm_config.additional_config)
        if settings is None or not isinstance(params, SamplingParams):
            return process(self, request_id, prompt, params, *a, **k)
        try:
            asked = read_asked(params.extra_args, settings.namespaces)
        except BadRequestField as error:
            raise VLLMValidationError(str(error), parameter="vllm_xargs") from error
        request = process(self, request_id, prompt, params, *a, **k)
        if asked is not None:
            _prepare(request, asked, settings, prompt)
        return request

    def process_multimodal(self: Any, prompt: Any, mm_data: Any, *a: Any, **k: Any) -> Any:
        made = multimodal(self, prompt, mm_data, *a, **k)
        if settings_of(self.config.additional_config) is not None:
            made[_SENT] = to_send(given_pictures(mm_data))
        return made

    InputProcessor.process_inputs = process_inputs
    BaseRenderer._process_multimodal = process_multimodal


def _prepare(request: Any, asked: Asked, settings: ServingSettings, prompt: Any) -> None:
    """Fix the revision of a request, and put beside it what its workers need."""
    if request.resumable or request.prompt_token_ids is None:
        raise VLLMValidationError(
            "prompts that come in parts, or as embeddings, cannot be answered with edits; send "
            f"the prompt whole, or {DISABLED}"
        )
    sampling = request.sampling_params
    fields = dict(sampling.extra_args or {})
    fields[NAMESPACE] = asked.namespace
    fields[REVISION] = _revision(settings.store, asked.revision)
    sent = prompt.get(_SENT) if isinstance(prompt, dict) else None
    if sent is not None:
        fields[PICTURES] = sent
    sampling.extra_args = fields
    # what is kept of other prompts was computed with other edits, and without states to route by
    sampling.skip_reading_prefix_cache = True
    request.cache_salt = f"{request.cache_salt or ''} liveedit {request.request_id}"


def _revision(store: str, wanted: int | None) -> int:
    """The revision that a request is answered with.

    Raises:
        VLLMValidationError: It is still to come.
    """
    if store not in _logs:
        _logs[store] = EditLog(store, migrate=False)
    newest = _logs[store].revision
    if wanted is None:
        return newest
    if not 0 <= wanted <= newest:
        error = UnknownRevision(wanted, newest=newest)
        raise VLLMValidationError(str(error), parameter=REVISION) from error
    return wanted
