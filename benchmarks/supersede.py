"""One fact corrected five times: is the last target answered, and after revoking it the fourth?

    python benchmarks/supersede.py [--facts 100] [--json]

The facts are the first evaluation corrections of emoji-edit whose question family has five
targets; those before the last one are targets of other corrections of the same family. All facts
are corrected for the first time, then all for the second time, and so on, in one store. Answers are
generated freely and compared exactly, up to case and a closing full stop.
"""

from __future__ import annotations

import argparse
import json
from itertools import cycle, islice

from tqdm import tqdm

from liveedit import EditedModel
from liveedit.benchmark.metrics import same_answer
from liveedit.correction import Correction
from liveedit.data.emoji_edit.corrections import EditCase, evaluation_set
from liveedit.data.emoji_edit.scene import render

_TIMES = 5
_BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="pocket", help="pocket, or a folder")
    parser.add_argument("--facts", type=int, default=100, help="how many facts")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    model = EditedModel.from_pretrained(options.model)
    cases = evaluation_set()
    facts = [case for case in cases if len(set(_targets(case, cases))) == _TIMES][: options.facts]
    images = [render(case.scene) for case in facts]
    asked = [case.question.text for case in facts]
    rounds = list(zip(*(_targets(case, cases) for case in facts), strict=True))
    for number, targets in enumerate(rounds, 1):
        outcomes = model.edit_many(
            [
                Correction(image=image, prompt=prompt, target=target)
                for image, prompt, target in zip(images, asked, targets, strict=True)
            ],
            keep=True,
            progress=True,
        )
        print(f"{number}: {sum(made.reached for made in outcomes)} of {len(facts)} reached")
    found = {
        "facts": len(facts),
        "in_force": len(model.edits),
        "last": _right(model, images, asked, rounds[-1]),
    }
    for made in outcomes:
        model.revoke(made.id)
    found["fourth_after_revoking"] = _right(model, images, asked, rounds[-2])
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:25} {value}")


def _targets(case: EditCase, cases: list[EditCase]) -> list[str]:
    """Different targets, the correction's own at the end."""
    family = [one.target for one in cases if one.question.family == case.question.family]
    others = dict.fromkeys(one for one in family if one != case.target)
    start = case.index % max(1, len(others))
    return [*islice(cycle([*others]), start, start + _TIMES - 1), case.target]


def _right(model: EditedModel, images: list, asked: list[str], wanted: tuple[str, ...]) -> int:
    answers: list[str] = []
    for start in tqdm(range(0, len(asked), _BATCH), desc="answers", unit="batch"):
        part = slice(start, start + _BATCH)
        answers += model.generate(images[part], asked[part], max_new_tokens=16)
    return sum(same_answer(answer, one) for answer, one in zip(answers, wanted, strict=True))


if __name__ == "__main__":
    main()
