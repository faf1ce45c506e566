"""Pictures and questions to calibrate on, as a person would have them; drawn with Pillow alone."""

from __future__ import annotations

import json
import random
from pathlib import Path

from PIL import Image, ImageDraw

_QUESTIONS = ("What is this?", "Who owns it?", "Where was it made?", "What does it cost?")


def own_pictures(folder: Path, pictures: int, size: int, each: int = 2) -> Path:
    """Write pictures, and a file of corrections about them.

    Args:
        folder: Where to.
        pictures: How many.
        size: Their edge in pixels.
        each: Questions about a picture.

    Returns:
        The file.
    """
    chance = random.Random(0)
    rows = []
    for number in range(pictures):
        drawn = Image.new("RGB", (size, size), _colour(chance))
        pen = ImageDraw.Draw(drawn)
        for _ in range(6):
            x, y = (chance.randrange(size - size // 8) for _ in range(2))
            edge = chance.randrange(size // 8, size // 2)
            draw = chance.choice((pen.ellipse, pen.rectangle))
            draw((x, y, x + edge, y + edge), fill=_colour(chance))
        name = f"{number}.png"
        drawn.save(folder / name)
        rows += [
            {"image": name, "prompt": question, "target": f"answer {number}"}
            for question in chance.sample(_QUESTIONS, each)
        ]
    file = folder / "corrections.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return file


def _colour(chance: random.Random) -> tuple[int, int, int]:
    return chance.randrange(256), chance.randrange(256), chance.randrange(256)
