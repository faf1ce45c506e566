"""Generating with a model that several callers share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import RLock
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn
from transformers import GenerationConfig

from liveedit.backbones.query import Query
from liveedit.errors import UnsupportedGeneration

_locks: WeakKeyDictionary[nn.Module, Any] = WeakKeyDictionary()
_making = RLock()


@contextmanager
def exclusive(model: nn.Module) -> Iterator[None]:
    """Within this context no other call of ours generates with the model."""
    with _making:
        lock = _locks.setdefault(model, RLock())
    with lock:
        yield


# settings of ``generate`` that change scores, and what they are when they do not
_NEUTRAL: Mapping[str, object] = {
    "repetition_penalty": 1.0,
    "encoder_repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "bad_words_ids": None,
    "suppress_tokens": None,
    "begin_suppress_tokens": None,
    "sequence_bias": None,
    "min_length": 0,
    "min_new_tokens": None,
    "forced_bos_token_id": None,
    "forced_eos_token_id": None,
    "exponential_decay_length_penalty": None,
    "num_beams": 1,
}


def changes_scores(config: GenerationConfig) -> bool:
    """Whether greedy decoding with these settings may say other than the likeliest token."""
    found = ((getattr(config, name, None), neutral) for name, neutral in _NEUTRAL.items())
    return any(value not in (None, neutral) for value, neutral in found)


def check_options(query: Query, options: Mapping[str, Any]) -> None:
    """Refuse options of ``generate`` that routing at prefill cannot follow.

    Raises:
        UnsupportedGeneration: The prompt would not be processed whole and in one pass, or the batch
            is padded on the right.
    """
    cache = options.get("past_key_values")
    if cache is not None and cache.get_seq_length():
        raise UnsupportedGeneration(
            "the cache is filled already, and routing needs the whole prompt; do not pass "
            "past_key_values, or pass an empty cache"
        )
    if options.get("prefill_chunk_size") is not None:
        raise UnsupportedGeneration(
            "the prompt must be processed in one pass; do not pass prefill_chunk_size"
        )
    if options.get("prompt_lookup_num_tokens") is not None and query.features:
        raise UnsupportedGeneration(
            "transformers cannot look answers up in a prompt with a picture; do not pass "
            "prompt_lookup_num_tokens, or use an assistant_model"
        )
    if not query.attention_mask[:, -1].all():
        raise UnsupportedGeneration(
            "the batch is padded on the right, where answers begin; ask for it padded on the left"
        )
