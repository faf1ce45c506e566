"""One model, many callers at once: does each get its own answer, and the unedited its own logits?

    python benchmarks/threads.py [--seconds 120] [--json]

Eight threads share one backbone: two ask in each of three namespaces, which hold other answers to
the same questions; one runs the bare transformers model and compares every logit with what it gave
before any edit; one writes, revokes and asks for what it wrote. Every answer is compared with the
one that its caller must get; any other, and any exception, counts as wrong.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections import Counter
from collections.abc import Callable

import torch

from liveedit import EditedModel
from liveedit.data.emoji_edit.corrections import evaluation_set
from liveedit.data.emoji_edit.scene import render

_SPACES = {"red": "Alpha", "green": "Beta team", "blue": "it belongs to Gamma and Sons of Lisbon"}
_ASKED = 6


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="pocket", help="pocket, or a folder")
    parser.add_argument("--seconds", type=float, default=120, help="how long")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    found = run(EditedModel.from_pretrained(options.model), options.seconds)
    if options.json:
        print(json.dumps(found))
        return
    for name, counts in found.items():
        print(f"{name:8} {counts}")


def run(model: EditedModel, seconds: float) -> dict[str, dict[str, int]]:
    """How many of each caller's calls were right and wrong."""
    cases = evaluation_set(_ASKED + 1)
    asked = [(render(case.scene), case.question.text) for case in cases]
    shared, written = asked[:_ASKED], asked[_ASKED]
    query = model.backbone.query(*map(list, zip(*shared[:2], strict=True)))
    with torch.no_grad():
        bare = model.backbone.model(**query.model_inputs()).logits
    for space, answer in _SPACES.items():
        with model.namespace(space):
            for number, (picture, prompt) in enumerate(shared):
                model.edit(picture, prompt, f"{answer} {number}")
    counts: dict[str, Counter[str]] = {}
    until = time.monotonic() + seconds

    def caller(name: str, once: Callable[[int], bool]) -> threading.Thread:
        mine = counts.setdefault(name, Counter())

        def work() -> None:
            turn = 0
            while time.monotonic() < until:
                try:
                    mine["right" if once(turn) else "wrong"] += 1
                except Exception as error:  # whatever it is, it is wrong
                    mine[type(error).__name__] += 1
                turn += 1

        return threading.Thread(target=work, name=name)

    def ask(space: str, answer: str) -> Callable[[int], bool]:
        def once(turn: int) -> bool:
            number = turn % _ASKED
            picture, prompt = shared[number]
            with model.namespace(space):
                said = model.generate(picture, prompt, max_new_tokens=24)
            return said == f"{answer} {number}"

        return once

    def unedited(_: int) -> bool:
        with torch.no_grad():
            return torch.equal(model.backbone.model(**query.model_inputs()).logits, bare)

    def write(turn: int) -> bool:
        with model.namespace("written"):
            made = model.edit(*written, f"number {turn}", author="writer")
            right = model.generate(*written, max_new_tokens=8) == f"number {turn}"
            model.revoke(made.id)
            return right

    threads = [
        caller(f"{space} {number}", ask(space, answer))
        for space, answer in _SPACES.items()
        for number in (1, 2)
    ]
    threads += [caller("bare", unedited), caller("writer", write)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return {name: dict(found) for name, found in counts.items()}


if __name__ == "__main__":
    main()
