"""Do edits that were made from plain questions hold in a conversation?

    python benchmarks/chat.py --edits 100 [--json]

emoji-edit's first evaluation corrections are made from their plain questions, all in force. Then
each is asked at the end of a conversation: a system prompt and two earlier turns. The picture is
shown with the last question, or in the first turn. Answers are generated, greedy, and compared
exactly.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from PIL import Image
from tqdm import tqdm

from liveedit import Correction, EditedModel
from liveedit.benchmark.metrics import same_answer
from liveedit.data.emoji_edit.corrections import evaluation_set
from liveedit.data.emoji_edit.scene import render

BATCH = 20


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="pocket", help="pocket, or a folder")
    parser.add_argument("--method", default="liveedit", help="editing method")
    parser.add_argument("--edits", type=int, default=100, help="corrections in force, all asked")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    found = measure(
        EditedModel.from_pretrained(options.model, method=options.method), options.edits
    )
    if options.json:
        print(json.dumps(found))
        return
    for name, right in found.items():
        print(f"{name:24} {right:4d} of {options.edits}")


def measure(model: EditedModel, edits: int) -> dict[str, int]:
    """Exact answers to the plain question and to the end of either conversation."""
    cases = evaluation_set(edits)
    asked = [(render(case.scene), case.question.text) for case in cases]
    targets = [case.target for case in cases]
    model.edit_many(
        [
            Correction(image=image, prompt=prompt, target=target)
            for (image, prompt), target in zip(asked, targets, strict=True)
        ],
        keep=True,
        progress=True,
    )
    talks = {
        "plain question": [[said("user", prompt, image)] for image, prompt in asked],
        "picture with the question": [talk(image, prompt, late=True) for image, prompt in asked],
        "picture in the first turn": [talk(image, prompt, late=False) for image, prompt in asked],
    }
    found = {}
    for name, conversations in talks.items():
        answers: list[str] = []
        for start in tqdm(range(0, edits, BATCH), desc=name, unit="batch"):
            answers += model.chat(conversations[start : start + BATCH], max_new_tokens=16)
        found[name] = sum(map(same_answer, answers, targets))
    return found


def talk(image: Image.Image, prompt: str, *, late: bool) -> list[dict[str, Any]]:
    """A system prompt, two turns, and the question."""
    return [
        said("system", "You are a helpful assistant. Answer briefly."),
        said("user", "Hello! I have a question about a picture.", None if late else image),
        said("assistant", "Of course."),
        said("user", "Are you sure that you can see it?"),
        said("assistant", "Yes."),
        said("user", prompt, image if late else None),
    ]


def said(role: str, text: str, image: Image.Image | None = None) -> dict[str, Any]:
    shown = [] if image is None else [{"type": "image", "image": image}]
    return {"role": role, "content": [*shown, {"type": "text", "text": text}]}


if __name__ == "__main__":
    main()
