"""Answers that are not one word: are they learned, do they hold, and is nothing else said?

    python benchmarks/long_targets.py captions FILE [--edits 100] [--limit 200] [--json]
    python benchmarks/long_targets.py kinds [--json]

``captions``: emoji-edit's evaluation corrections, with the captions of E-IC's evaluation file in
place of their targets, in groups of so many in force together. Asked: the corrected question, the
rephrased one, the same things drawn by another artist, and another question about the same picture
(which should be answered as before). ``kinds``: 20 answers each of 20, 40 and 100 tokens, in other
scripts, of emoji, code and numbers, all in force together. What is not reached is not put in
force, and counts as wrong. Answers are generated, greedy, and compared exactly.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from long_target_texts import KINDS, texts_of
from PIL import Image
from tqdm import tqdm

from liveedit import Correction, EditedModel
from liveedit.benchmark.metrics import bootstrap
from liveedit.data.emoji_edit.corrections import EditCase, evaluation_set, validation_set
from liveedit.data.emoji_edit.scene import render

Asked = tuple[Image.Image, str]
_BATCH, _EACH, _MORE = 16, 20, 12
_ASKED: dict[str, Callable[[EditCase], Asked]] = {
    "corrected question": lambda case: (render(case.scene), case.question.text),
    "rephrased": lambda case: (render(case.scene), case.rephrase.text),
    "redrawn": lambda case: (render(case.scene.redrawn()), case.question.text),
    "other question kept": lambda case: (render(case.scene), case.strict_question.text),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("captions", "kinds"))
    parser.add_argument("file", nargs="?", type=Path, help="caption_eval_edit.json of E-IC")
    parser.add_argument("--model", default="pocket", help="pocket, or a folder")
    parser.add_argument("--edits", type=int, default=100, help="captions in force together")
    parser.add_argument("--limit", type=int, default=200, help="corrections in all")
    parser.add_argument("--validation", action="store_true", help="of the validation side")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    if options.what == "captions" and options.file is None:
        parser.error("give E-IC's caption_eval_edit.json")
    model = EditedModel.from_pretrained(options.model)
    cases = (validation_set if options.validation else evaluation_set)()
    rows: list[dict[str, Any]] = []
    if options.what == "captions":
        told = json.loads(options.file.read_text(encoding="utf-8"))[: options.limit]
        captions = [one["alt"].strip() for one in told]
        for start in range(0, len(captions), options.edits):
            some = slice(start, start + options.edits)
            rows += measure(model, cases[some], captions[some])
        groups = {"captions": rows}
    else:
        targets = [text for kind in KINDS for text in texts_of(kind, _EACH, _cut(model))]
        rows = measure(model, cases[: len(targets)], targets)
        groups = {kind: rows[at * _EACH : (at + 1) * _EACH] for at, kind in enumerate(KINDS)}
    found = {name: summary(some) for name, some in groups.items()}
    if options.json:
        print(json.dumps(found, ensure_ascii=False))
        return
    for name, figures in found.items():
        print(f"{name}, {figures.pop('n')} corrections")
        for what, value in figures.items():
            print(f"  {what:24} {value}")


def measure(
    model: EditedModel, cases: Sequence[EditCase], targets: Sequence[str]
) -> list[dict[str, Any]]:
    """What becomes of each correction, all of them in force in a store of their own."""
    edited = EditedModel(model.method)
    corrections = []
    for case, target in zip(cases, targets, strict=True):
        picture, prompt = _ASKED["corrected question"](case)
        corrections.append(Correction(image=picture, prompt=prompt, target=target))
    began = time.perf_counter()
    outcomes = edited.edit_many(corrections, skip_unreached=True, progress=True)
    seconds = (time.perf_counter() - began) / len(cases)
    rows: list[dict[str, Any]] = [
        {"reached": not one.refused, "steps": one.steps, "seconds": seconds, "target": target}
        for one, target in zip(outcomes, targets, strict=True)
    ]
    for name, ask in _ASKED.items():
        asked = [ask(case) for case in cases]
        wanted = list(targets)
        if name == "other question kept":
            with edited.disabled():
                wanted = [answer for _, answer in _answers(edited, asked, [32] * len(asked))]
        lengths = [32 if name == "other question kept" else _tokens(model, one) for one in targets]
        for at, answer in _answers(edited, asked, lengths, desc=name):
            rows[at][name] = answer == wanted[at]
            if name == "corrected question":
                rows[at]["answer"] = answer
    return rows


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Percentages with 95% intervals."""
    figures: dict[str, Any] = {"n": len(rows)}
    for name in ("reached", *_ASKED):
        shares = [float(row[name]) for row in rows]
        low, high = bootstrap(np.array(shares))
        mean = 100 * statistics.mean(shares)
        figures[name] = f"{mean:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
    figures["wrong in force"] = sum(r["reached"] and not r["corrected question"] for r in rows)
    figures["steps"] = round(statistics.mean(row["steps"] for row in rows), 1)
    figures["seconds an edit"] = round(statistics.mean(row["seconds"] for row in rows), 2)
    figures["failures"] = [
        (row["target"][:60], row["answer"][:60]) for row in rows if not row["corrected question"]
    ]
    return figures


def _answers(
    model: EditedModel, asked: Sequence[Asked], lengths: Sequence[int], desc: str = "unedited"
) -> Iterator[tuple[int, str]]:
    order = sorted(range(len(asked)), key=lambda row: lengths[row])
    for start in tqdm(range(0, len(order), _BATCH), desc=desc, unit="batch", leave=False):
        rows = order[start : start + _BATCH]
        images, prompts = zip(*(asked[row] for row in rows), strict=True)
        answers = model.generate(
            list(images), list(prompts), max_new_tokens=lengths[rows[-1]] + _MORE
        )
        yield from zip(rows, answers, strict=True)


def _tokens(model: EditedModel, text: str) -> int:
    return len(model.backbone.target_ids(text))


def _cut(model: EditedModel) -> Callable[[str, int], str]:
    tokenizer = model.backbone.tokenizer
    return lambda text, length: tokenizer.decode(tokenizer.encode(text)[:length]).strip()


if __name__ == "__main__":
    main()
