"""What happens to a request in vLLM's front end, before it is sent to the engine.

There the request is checked, the revision that it is answered with is fixed, the same for all
workers and for all of its ``n`` answers, and what the workers need of its pictures is put beside
it.
"""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Any
from weakref import WeakKeyDictionary

from vllm.exceptions import GracefulHTTPError, VLLMError, VLLMValidationError
from vllm.renderers.base import BaseRenderer
from vllm.sampling_params import SamplingParams
from vllm.v1.engine.input_processor import InputProcessor

from liveedit.errors import BadRequestField, StoreError, UnknownRevision
from liveedit.store.log import EditLog
from liveedit.vllm.asked import (
    DISABLED,
    NAMESPACE,
    PICTURES,
    QUESTION,
    REVISION,
    Asked,
    read_asked,
)
from liveedit.vllm.models import family_of, image_token_of
from liveedit.vllm.pictures import given_pictures, to_send
from liveedit.vllm.questions import FRAMES, Message, QuestionReader, frame_of
from liveedit.vllm.settings import WORDS, ServingSettings, settings_of

_SENT = "liveedit_sent"  # beside the inputs that vLLM makes of a prompt
_logs: dict[str, EditLog] = {}
_readers: WeakKeyDictionary[Any, QuestionReader] = WeakKeyDictionary()


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
            asked = _asked(params, settings)
        except VLLMError:
            _forget_pictures(self.renderer, prompt)
            raise
        request = process(self, request_id, prompt, params, *a, **k)
        if asked is not None:
            if request.resumable or request.prompt_token_ids is None:
                raise VLLMValidationError(
                    "prompts that come in parts, or as embeddings, cannot be answered with edits; "
                    f"send the prompt whole, or {DISABLED}"
                )
            _prepare(request, asked, prompt)
            if self.vllm_config.additional_config.get(WORDS):
                reader = _reader(self.renderer, self.vllm_config.model_config.hf_config)
                question = reader.question(request.prompt_token_ids)
                request.sampling_params.extra_args[QUESTION] = question
        return request

    def process_multimodal(self: Any, prompt: Any, mm_data: Any, *a: Any, **k: Any) -> Any:
        made = multimodal(self, prompt, mm_data, *a, **k)
        if settings_of(self.config.additional_config) is not None:
            made[_SENT] = to_send(given_pictures(mm_data))
        return made

    InputProcessor.process_inputs = process_inputs
    BaseRenderer._process_multimodal = process_multimodal


def _asked(params: Any, settings: ServingSettings) -> Asked | None:
    """What a request asks for, with its revision; None if it is to be answered without edits.

    Raises:
        VLLMValidationError: It asks for what is not served.
        GracefulHTTPError: The store cannot be read; another time it may be.
    """
    try:
        asked = read_asked(params.extra_args, settings.namespaces)
        return asked and replace(asked, revision=_revision(settings.store, asked.revision))
    except (BadRequestField, UnknownRevision) as error:
        raise VLLMValidationError(str(error), parameter="vllm_xargs") from error
    except StoreError as error:
        raise GracefulHTTPError(str(error), HTTPStatus.SERVICE_UNAVAILABLE) from error


def _prepare(request: Any, asked: Asked, prompt: Any) -> None:
    """Tell the workers what a request asks for, and what they need of its pictures."""
    sampling = request.sampling_params
    fields = dict(sampling.extra_args or {})
    fields |= {NAMESPACE: asked.namespace, REVISION: asked.revision}
    sent = prompt.get(_SENT) if isinstance(prompt, dict) else None
    if sent is not None:
        fields[PICTURES] = sent
    sampling.extra_args = fields
    # what is kept of other prompts was computed with other edits, and without states to route by
    sampling.skip_reading_prefix_cache = True
    request.cache_salt = f"{request.cache_salt or ''} liveedit {request.request_id}"


def _reader(renderer: Any, config: Any) -> QuestionReader:
    """What finds the question in a prompt of the model that is served."""
    if renderer not in _readers:
        processor = renderer.get_mm_processor().info.get_hf_processor()

        def render(messages: list[Message]) -> str:
            text: str = processor.apply_chat_template(messages, add_generation_prompt=True)
            return text

        frame = FRAMES.get(family_of(config)) or frame_of(render)
        _readers[renderer] = QuestionReader(frame, renderer.tokenizer, image_token_of(config))
    return _readers[renderer]


def _forget_pictures(renderer: Any, prompt: Any) -> None:
    """Have vLLM send the pictures of a refused request anew when it sees them again."""
    cache = renderer.mm_processor_cache
    hashes = prompt.get("mm_hashes") if isinstance(prompt, dict) else None
    for each in hashes.values() if cache is not None and hashes else ():
        for one in each:
            cache.invalidate(one)


def _revision(store: str, wanted: int | None) -> int:
    """The revision that a request is answered with.

    Raises:
        UnknownRevision: It is still to come.
        StoreError: The store cannot be read.
    """
    if store not in _logs:
        _logs[store] = EditLog(store, migrate=False)
    newest = _logs[store].revision
    if wanted is not None and not 0 <= wanted <= newest:
        raise UnknownRevision(wanted, newest=newest)
    return newest if wanted is None else wanted
