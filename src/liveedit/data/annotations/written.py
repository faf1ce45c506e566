"""emoji-edit as files: for ``liveedit edit import``, and for other editing toolkits."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from tqdm import tqdm

from liveedit.data.annotations.emoji import emoji_annotations
from liveedit.data.annotations.mmedit import NATURAL_QUESTIONS_PREFIX
from liveedit.data.emoji_edit.concepts import Split
from liveedit.data.emoji_edit.scene import Scene, render
from liveedit.saving.files import whole, write_whole

CORRECTIONS, ANNOTATIONS, PICTURES = "corrections.jsonl", "emoji-edit.json", "pictures"


def write_emoji_edit(split: Split, folder: Path, limit: int | None = None) -> int:
    """Write a split's first corrections; pictures that are there already are not drawn again.

    ``corrections.jsonl`` has what ``liveedit edit import`` takes, ``emoji-edit.json`` the
    corrections with their probes in the format of E-VQA, both with pictures in ``pictures/``.

    Returns:
        The number of corrections.
    """
    (folder / PICTURES).mkdir(parents=True, exist_ok=True)
    rows, lines = [], []
    for one in tqdm(emoji_annotations(split, limit), desc="drawing", unit="correction"):
        image = _drawn(one.image, folder)
        lines.append(json.dumps({"image": image, "prompt": one.prompt, "target": one.target}))
        rows.append(
            {
                "src": one.prompt,
                "rephrase": one.rephrased_prompt,
                "pred": one.former_answer or "",
                "alt": one.target,
                "image": image,
                "image_rephrase": _drawn(one.rephrased_image, folder),
                "loc": NATURAL_QUESTIONS_PREFIX + one.text_locality.question,
                "loc_ans": one.text_locality.answer,
                "m_loc": _drawn(one.image_locality.image, folder),
                "m_loc_q": one.image_locality.question,
                "m_loc_a": [*one.image_locality.answers] or ["unknown"],
            }
        )
    write_whole(folder / ANNOTATIONS, json.dumps(rows, indent=1) + "\n")
    write_whole(folder / CORRECTIONS, "".join(f"{line}\n" for line in lines))
    return len(rows)


def _drawn(scene: Scene, folder: Path) -> str:
    name = f"{hashlib.sha256(repr(scene).encode()).hexdigest()[:16]}.png"
    place = folder / PICTURES / name
    if not place.exists():
        with whole(place) as part:
            render(scene).save(part, "PNG")
    return f"{PICTURES}/{name}"
