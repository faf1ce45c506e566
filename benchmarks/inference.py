"""What edits cost at inference: prefill and decode against the unedited model, side by side.

    python benchmarks/inference.py [--json] [--sentence-encoder]

A few edits are real, and the questions are about their pictures, so that experts do fire. The rest
of the store is filled with edits drawn to resemble them: experts as large as theirs, or of 1 to 120
slots each (mixed), routing features with the mean and spread of theirs. Every round times the
unedited and the edited model one after the other; a ratio is the median over the rounds. Also
measured: one edit without refinement (verified against its target) in units of one forward pass up
to the edit layer, both with a picture that was never seen before. With the sentence encoder no
question was asked before: spaces behind it make it a new one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from itertools import count, repeat

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from liveedit import EditedModel
from liveedit.correction import Correction
from liveedit.data.emoji_edit.corrections import EditCase, validation_set
from liveedit.data.emoji_edit.scene import render
from liveedit.methods.liveedit.config import LiveEditConfig
from liveedit.methods.liveedit.method import LiveEdit
from liveedit.store.edit import Edit
from liveedit.store.tensors import Keys

_REAL = 64
_DECODED = 32
_POOLS = ((0, False), (10, False), (1_000, False), (1_000, True), (10_000, False))  # mixed?
_LONGEST = 120  # slots
_BATCHES = (1, 8)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="pocket", help="pocket, or a folder")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of each measurement")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--edits", type=int, nargs="+", help="sizes of the store; all by default")
    parser.add_argument(
        "--sentence-encoder", action="store_true", help="have it compare the questions, too"
    )
    options = parser.parse_args()
    pools = [pool for pool in _POOLS if options.edits is None or pool[0] in options.edits]
    config = LiveEditConfig(refine_steps=0, sentence_encoder=options.sentence_encoder)
    model = EditedModel.from_pretrained(options.model, config=config)
    cases = validation_set(_REAL + options.rounds)
    corrections = [
        Correction(image=render(case.scene), prompt=case.question.text, target=case.target)
        for case in cases
    ]
    passes = _edit_passes(model, corrections[_REAL:])
    ratios = []
    with tqdm(total=len(pools) * len(_BATCHES), desc="inference", unit="setting") as bar:
        for size, mixed in pools:
            store = _filled(model, corrections[: min(_REAL, size)], size, mixed=mixed)
            for batch in _BATCHES:
                prefill, decode = _slowdown(store, cases[:batch], options.rounds)
                edits = f"{size}{', mixed' * mixed}"
                row = {"edits": edits, "batch": batch, "prefill": prefill, "decode": decode}
                ratios.append(row)
                bar.update()
    if options.json:
        print(json.dumps({"ratios": ratios, "edit_passes": passes}))
        return
    print(
        "edits        batch  prefill  decode   (time of the edited model over the unedited one's)"
    )
    for row in ratios:
        print("{edits:<12} {batch:<6} {prefill:<8} {decode}".format(**row))
    print(f"one edit costs {passes} forward passes up to the edit layer")


def _filled(model: EditedModel, real: list[Correction], size: int, *, mixed: bool) -> EditedModel:
    """A model of its own with so many edits, the first of them real."""
    filled = EditedModel(LiveEdit(model.backbone, model.method.network, model.method.config))
    filled.edit_many(real, keep=True)
    missing = size - len(real)
    if missing <= 0:
        return filled
    pool = filled.store.pool()
    torch.manual_seed(0)

    def features(like: Tensor) -> Tensor:
        drawn = like.mean(0) + like.std(0) * torch.randn(missing, like.shape[1])
        vectors = drawn.unflatten(1, (model.method.network.config.vectors, -1))
        return F.normalize(vectors, dim=-1).flatten(1) / vectors.shape[1] ** 0.5

    values = pool.take(torch.randint(len(pool.ids), (missing,)))
    if mixed:
        width = values["u"][0].shape[1]
        ranks = torch.randint(1, _LONGEST + 1, (missing,)).tolist()
        values = {name: [torch.randn(rank, width).half() for rank in ranks] for name in values}
    filled.store.add(
        [Edit(prompt="drawn", target="drawn", image="drawn") for _ in range(missing)],
        Keys(
            vectors={name: features(vectors) for name, vectors in pool.keys.whole.vectors.items()},
            sees=torch.ones(missing, dtype=torch.bool),
        ),
        values,
    )
    return filled


def _slowdown(model: EditedModel, cases: list[EditCase], rounds: int) -> tuple[float, float]:
    """Time with edits over time without, for prefill and for a decoded token."""
    images = [render(case.scene) for case in cases]
    asked = count() if model.method.config.sentence_encoder else repeat(0)

    def seconds(tokens: int, spaces: int) -> float:
        prompts = [case.question.text + " " * spaces for case in cases]
        return _time(
            lambda: model.generate(images, prompts, max_new_tokens=tokens, min_new_tokens=tokens)
        )

    def both(spaces: int) -> tuple[float, float]:
        first = seconds(1, spaces)
        return first, seconds(1 + _DECODED, spaces) - first

    both(next(asked))
    found = []
    for _ in range(rounds):
        spaces = next(asked)
        with model.disabled():
            plain = both(spaces)
        edited = both(spaces)
        found.append([one / other for one, other in zip(edited, plain, strict=True)])
    prefill, decode = (round(statistics.median(part), 3) for part in zip(*found, strict=True))
    return prefill, decode


def _edit_passes(model: EditedModel, corrections: list[Correction]) -> float:
    backbone = model.backbone

    def forward(correction: Correction) -> None:
        query = backbone.query([correction.image], [correction.prompt], [correction.target])
        backbone.states(query)

    found = []
    for correction in tqdm(corrections, desc="edits", unit="edit"):
        backbone.forget_images()
        plain = _time(lambda one=correction: forward(one))  # type: ignore[misc]
        backbone.forget_images()
        edited = _time(lambda one=correction: model.edit_many([one], keep=True))  # type: ignore[misc]
        found.append(edited / plain)
    return round(statistics.median(found), 3)


@torch.no_grad()
def _time(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
