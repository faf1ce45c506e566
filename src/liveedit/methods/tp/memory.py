"""What enters the network elsewhere: at other questions, where new neurons must be silent."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from liveedit.correction import Correction
from liveedit.methods.shared.feed_forward.network import FeedForward

ABOUT_A_PICTURE = (
    "Describe the picture in one sentence.",
    "What is in the background?",
    "How many things are there?",
    "What colour is it?",
)
ABOUT_NOTHING = (
    "What is the capital of France?",
    "Write a short sentence about the sea.",
    "Who wrote Hamlet?",
    "How do you boil an egg?",
    "What is two plus three?",
    "Name a planet.",
)
_TOGETHER = 16


def memory_of(
    network: FeedForward, corrections: Sequence[Correction]
) -> Float[Tensor, "batch memory width"]:
    """At every token of some other questions, about each correction's picture and about nothing.

    Rows are padded with NaN.

    Args:
        network: What it enters.
        corrections: A batch.
    """
    backbone = network.backbone
    asked = [
        (picture, question)
        for one in corrections
        for picture, question in (
            *((one.image, question) for question in ABOUT_A_PICTURE if one.image is not None),
            *((None, question) for question in ABOUT_NOTHING),
        )
    ]
    rows: list[Tensor] = []
    for start in range(0, len(asked), _TOGETHER):
        pictures, questions = zip(*asked[start : start + _TOGETHER], strict=True)
        query = backbone.query(pictures, questions)
        entered = network.entering(query)
        rows += [
            states[here.to(states.device)].float()
            for states, here in zip(entered, query.spans.prompt, strict=True)
        ]
    found, at = [], 0
    for one in corrections:
        count = len(ABOUT_NOTHING) + (len(ABOUT_A_PICTURE) if one.image is not None else 0)
        found.append(torch.cat(rows[at : at + count]))
        at += count
    return pad_sequence(found, batch_first=True, padding_value=torch.nan)
