"""Experts are added more strongly after long prompts, whose many words outvote them.

The answer is outvoted less: what it began with is near. So its own tokens get half of the gain;
with all of it a target's last token is said again and again.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from liveedit.backbones.spans import Spans

_SHORT = 64  # tokens of a prompt, as experts are trained with
_ANSWER = 0.5  # of what a prompt's tokens get more, an answer's get


def context_gain(length: Int[Tensor, "*batch"], doubling: float) -> Float[Tensor, "*batch"]:
    """What experts are multiplied with: ``1 + doubling * log2(length / 64)``, at least 1.

    Args:
        length: Tokens of each prompt behind its picture.
        doubling: Added for every doubling of the length.
    """
    return 1 + doubling * torch.log2(length / _SHORT).clamp(min=0.0)


def answer_part(length: Int[Tensor, "*batch"], doubling: float) -> Float[Tensor, "*batch"]:
    """What is added at an answer's tokens, relative to what is added at a prompt's of that length.

    Args:
        length: Tokens of each prompt behind its picture.
        doubling: See :func:`context_gain`.
    """
    return context_gain(length, _ANSWER * doubling) / context_gain(length, doubling)


def answer_share(
    spans: Spans, doubling: float, length: int | None = None
) -> Float[Tensor, "batch #length"]:
    """What is added at each position of a pass, relative to what is added at a prompt's.

    Args:
        spans: Of the prompts, which may have targets behind them.
        doubling: See :func:`context_gain`.
        length: Tokens of the pass: those of the spans by default, as many and what was decoded
            since, or less for a step of decoding with a cache.
    """
    answer = answer_part(spans.prompt.sum(1, keepdim=True), doubling)
    rest = (spans.target.shape[1] if length is None else length) - spans.target.shape[1]
    if rest < 0:
        return answer
    whole = torch.where(spans.target, answer, 1.0)
    return torch.cat([whole, answer.expand(-1, rest)], 1)
