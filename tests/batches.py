"""Made-up representations: batches of rows with and without padding."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from liveedit.backbones.spans import Spans
from liveedit.methods.liveedit.representation import Representation


@dataclass(frozen=True)
class Row:
    """States of a picture, a prompt and a target, and the target's output embeddings."""

    vision: Tensor
    prompt: Tensor
    target: Tensor
    lexical: Tensor

    def __len__(self) -> int:
        return len(self.vision) + len(self.prompt) + len(self.target)


def random_row(width: int, *, vision: int, prompt: int, target: int = 0) -> Row:
    """Random states, so many of each."""
    states = [torch.randn(count, width) for count in (vision, prompt, target)]
    return Row(*states, lexical=torch.randn(target, width))


def batch_of(rows: list[Row], *, padding: int = 0) -> Representation:
    """One batch, padded on the left, and by so many positions more, with what must not matter."""
    length, width = padding + max(map(len, rows)), rows[0].vision.shape[1]
    states = 30 * torch.randn(len(rows), length, width)
    lexical = torch.zeros_like(states)
    owner = torch.full((len(rows), length), -1)
    for index, row in enumerate(rows):
        start = length - len(row)
        parts = (row.vision, row.prompt, row.target)
        states[index, start:] = torch.cat(parts)
        owner[index, start:] = torch.repeat_interleave(torch.tensor([len(part) for part in parts]))
        lexical[index, length - len(row.target) :] = row.lexical
    spans = Spans(vision=owner == 0, prompt=owner == 1, target=owner == 2)
    return Representation(states=states, spans=spans, lexical=lexical)
