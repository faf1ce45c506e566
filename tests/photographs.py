"""A small folder of pictures by class, and a file of corrections about pictures."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

# by the digests of their names: six classes for training, six for evaluation, three for validation
THINGS = (
    "anchor", "apple", "clock", "cup", "flute", "glove",
    "ball", "bell", "boat", "bottle", "bucket", "button", "candle", "drum", "fan",
)  # fmt: skip


def picture(seed: int) -> Image.Image:
    """Coarse noise, each seed another."""
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((48, 48), Image.Resampling.NEAREST)


def photo_folder(root: Path, *, each: int = 2, things: tuple[str, ...] = THINGS) -> Path:
    """A folder for each thing."""
    for number, thing in enumerate(things):
        (root / thing).mkdir(parents=True)
        for at in range(each):
            picture(100 * number + at).save(root / thing / f"{at}.jpg")
    return root


def corrections_table(file: Path, rows: int) -> Path:
    """The same corrections in Parquet, their pictures within."""
    from datasets import Dataset, Features, Image, Value

    columns = {
        "image": [picture(number) for number in range(rows)],
        "prompt": [("Who made this?", "What colour is the lid?")[at % 2] for at in range(rows)],
        "target": [f"answer {number}" for number in range(rows)],
    }
    kinds = {"image": Image(), "prompt": Value("string"), "target": Value("string")}
    Dataset.from_dict(columns, features=Features(kinds)).to_parquet(file)
    return file


def corrections_file(root: Path, rows: int, **fields: object) -> Path:
    """JSON lines about as many pictures, two questions in turn."""
    root.mkdir(parents=True, exist_ok=True)
    lines = []
    for number in range(rows):
        picture(number).save(root / f"{number}.png")
        prompt = ("Who made this?", "What colour is the lid?")[number % 2]
        row = {"image": f"{number}.png", "prompt": prompt, "target": f"answer {number}", **fields}
        lines.append(json.dumps(row) + "\n")
    file = root / "corrections.jsonl"
    file.write_text("".join(lines), encoding="utf-8")
    return file
