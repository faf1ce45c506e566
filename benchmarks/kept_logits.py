"""A forced pass whose head is run where targets are predicted, against one with all logits.

    python benchmarks/kept_logits.py [--rows 16] [--json]

What teacher-forced metrics, edits and trainings are made of: a pass of the pocket VLM over
emoji-edit's questions with their targets, and one with its gradient, of one question, as methods
that change low layers take them. One thread, the shortest of 15 rounds, both ways in turn; both
find the same tokens likeliest, or it stops.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from liveedit.backbones.base import Backbone
from liveedit.backbones.kept_logits import kept_logits
from liveedit.backbones.query import Query
from liveedit.backbones.registry import load_backbone
from liveedit.data.emoji_edit.corrections import evaluation_set
from liveedit.data.emoji_edit.scene import render

_ROUNDS = 15
Logits = Callable[[Backbone, Query, Tensor], Tensor]  # at the positions that are kept


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=16, help="questions of a pass")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    torch.set_num_threads(1)
    backbone = load_backbone("pocket")
    cases = evaluation_set(options.rows)
    pictures = [render(case.scene) for case in cases]
    questions, targets = [case.question.text for case in cases], [case.target for case in cases]
    batch = backbone.query(pictures, questions, targets)
    one = backbone.query(pictures[:1], questions[:1], targets[:1])
    head = backbone.model.get_output_embeddings().weight
    size = head.dtype.itemsize * head.shape[0]
    found = {
        "dtype": str(head.dtype).removeprefix("torch."),
        "a pass, of one with all logits": _ratio(lambda logits: _tokens(backbone, batch, logits)),
        "a gradient, of one with all logits": _ratio(lambda logits: _step(backbone, one, logits)),
        "MB of logits": round(int(batch.spans.predicts.sum()) * size / 1e6, 1),
        "MB of all logits": round(batch.input_ids.numel() * size / 1e6, 1),
    }
    print(json.dumps(found) if options.json else json.dumps(found, indent=1))


def _whole(backbone: Backbone, query: Query, keep: Tensor) -> Tensor:
    return backbone.forward(query, use_cache=False).logits[keep]


@torch.no_grad()
def _tokens(backbone: Backbone, query: Query, logits: Logits) -> Tensor:
    return logits(backbone, query, query.spans.predicts).argmax(-1)


def _step(backbone: Backbone, query: Query, logits: Logits) -> Tensor:
    """With the gradient of what is added to the first layer's output."""
    keep = query.spans.predicts
    added = torch.zeros(backbone.width, requires_grad=True)
    change = {"layers.0": lambda _given, hidden: hidden + added.to(hidden)}
    with torch.enable_grad(), backbone.module_hooks.changing(change):
        found = logits(backbone, query, keep)
        loss = F.cross_entropy(found.float(), query.input_ids.roll(-1, 1)[keep])
        torch.autograd.grad(loss, added)
    return found.argmax(-1)


def _ratio(run: Callable[[Logits], Tensor]) -> float:
    shortest: dict[Logits, float] = {kept_logits: float("inf"), _whole: float("inf")}
    for _ in range(_ROUNDS):
        tokens = []
        for way in shortest:
            start = time.perf_counter()
            tokens.append(run(way))
            shortest[way] = min(shortest[way], time.perf_counter() - start)
        assert torch.equal(*tokens)
    return round(shortest[kept_logits] / shortest[_whole], 3)


if __name__ == "__main__":
    main()
