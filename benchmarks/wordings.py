"""What a sentence encoder adds to prompt features: which questions are taken for the same.

    python benchmarks/wordings.py [--annotations FILE --stand-ins FOLDER] [--json]

On emoji-edit's validation corrections, or those of a file: the share of questions in other words
that are taken for their own correction's, and how many pairs of different corrections about one
picture are, by prompt features alone and with the sentence encoder. All such pairs are listed. And
what a question that was not met before costs, in units of a prefill of it, side by side.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from liveedit import EditedModel, LiveEditConfig
from liveedit.benchmark.protocol import correction_of
from liveedit.benchmark.suite import Suite, emoji_suite, file_suite
from liveedit.correction import Correction, pictures_identity
from liveedit.data.stand_ins import read_stand_ins
from liveedit.data.views import views_of
from liveedit.methods.liveedit.conflicts import likeness
from liveedit.methods.liveedit.features import RoutingFeatures
from liveedit.methods.liveedit.method import LiveEdit
from liveedit.methods.liveedit.representation import Representation, standardise
from liveedit.methods.shared.sentence_encoder import encode_questions
from liveedit.store.edit import Edit

_BATCH, _GROUP, _ROUNDS = 32, 100, 21


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--annotations", type=Path, help="of E-VQA, instead of emoji-edit")
    parser.add_argument("--stand-ins", type=Path, help="photographs in the place of its pictures")
    parser.add_argument("--limit", type=int, default=300, help="corrections")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    model = EditedModel.from_pretrained("pocket")
    method = model.method
    assert isinstance(method, LiveEdit)
    suite = _suite(options.annotations, options.stand_ins, options.limit)
    stated = [correction_of(case) for case in suite.pictured]
    asked = [
        Correction(image=picture, prompt=prompt, target=case.target)
        for case in suite.pictured
        for picture, prompt in views_of(case, ("rephrase",))
    ]
    edits, others = _edits(stated), _edits(asked)
    known, reworded = _features(method, stated), _features(method, asked)
    pairs = [
        (row, column)
        for row in range(len(edits))
        for column in range(row)
        if row // _GROUP == column // _GROUP and edits[row].image == edits[column].image
    ]
    found: dict[str, object] = {"corrections": len(edits), "pairs": len(pairs)}
    for name, words in (("prompt features", False), ("with the sentence encoder", True)):
        config = LiveEditConfig(same_question=method.config.same_question, sentence_encoder=words)
        own, among = likeness(reworded, known, config), likeness(known, known, config)
        same = [own.ask_the_same(at, at, others[at], edits[at]) for at in range(len(edits))]
        taken = [pair for pair in pairs if among.ask_the_same(*pair, *(edits[at] for at in pair))]
        found[name] = {
            "in other words": round(sum(same) / len(same), 4),
            "other questions": len(taken),
            "which": [[edits[at].prompt for at in pair] for pair in taken],
        }
    found["a new question, of a prefill"] = _cost(method, stated[0])
    print(json.dumps(found) if options.json else json.dumps(found, indent=1, ensure_ascii=False))


def _suite(annotations: Path | None, stand_ins: Path | None, limit: int) -> Suite:
    if annotations is None:
        return emoji_suite("validation", limit)
    photographs = None if stand_ins is None else read_stand_ins(stand_ins, "evaluation")
    return file_suite("e-vqa", annotations, annotations.parent, limit, stand_ins=photographs)


def _edits(corrections: list[Correction]) -> list[Edit]:
    return [
        Edit(prompt=one.prompt, target=one.target, image=pictures_identity(one.image))
        for one in corrections
    ]


@torch.no_grad()
def _features(method: LiveEdit, corrections: list[Correction]) -> RoutingFeatures:
    backbone, network = method.backbone, method.network
    parts = []
    for start in range(0, len(corrections), _BATCH):
        some = corrections[start : start + _BATCH]
        query = backbone.query(
            [one.image for one in some],
            [one.prompt for one in some],
            [one.target for one in some],
        )
        states = standardise(backbone.states(query), network.scale)
        parts.append(network.edit_features(Representation(states=states, spans=query.spans)))
    return RoutingFeatures.join(parts)


@torch.no_grad()
def _cost(method: LiveEdit, correction: Correction) -> float:
    """Seconds to embed a new question over those of its prefill."""
    backbone = method.backbone

    def prefill() -> None:
        backbone.logits(backbone.query([correction.image], [correction.prompt]))

    ratios = []
    for _ in range(_ROUNDS + 1):
        plain = _time(prefill)
        ratios.append(_time(lambda: encode_questions([correction.prompt])) / plain)
    return round(statistics.median(ratios[1:]), 3)


def _time(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
