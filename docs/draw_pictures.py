"""Draw docs/rooms.svg, docs/one-correction.svg and docs/one-question.svg.

    python docs/draw_pictures.py

The rooms are those of import-linter's layers in pyproject.toml, from the top down.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from xml.sax.saxutils import escape

HERE = Path(__file__).resolve().parent
WIDTH, MARGIN, GAP = 480, 16, 12

# What is in each room, in a few words.
ROOMS = {
    "cli": "the command liveedit, one file a verb",
    "serve": "the HTTP server",
    "demo": "liveedit demo",
    "pocket": "the small VLM",
    "vllm": "the plugin for vLLM",
    "benchmark": "protocol, metrics, reports",
    "training": "trainers, losses, calibration",
    "data": "drawings, datasets, your own files",
    "editor": "EditedModel: edit, ask, explain, revoke",
    "methods": "the contract, and a folder for each method",
    "store": "edits and their revisions",
    "backbones": "a file for each family",
    "correction": "what a person states: picture, question, answer",
    "client": "asks a server",
    "saving": "checkpoints, the hub",
    "distributed": "several processes",
    "config": "strict settings",
    "errors": "one hierarchy of errors",
}
CORRECTION = [
    ("model.edit(picture, question, answer)", "EditedModel takes a correction", "ask"),
    ("The backbone reads states", "up to the edit layer, and stops there", ""),
    ("The generator makes an expert", "two small matrices, U and V, in one pass", ""),
    ("Conflicts are looked for", "an earlier edit about the same: repeated, contradicted?", ""),
    ("Verify, and refine where needed", "is every token of the answer the likeliest now?", ""),
    ("The store writes a revision", "edit, keys and expert, all or nothing", "store"),
]
QUESTION = [
    ("model.generate(picture, question)", "EditedModel asks the backbone", "ask"),
    ("The store gives a pool", "the edits of one revision, as tensors", "store"),
    ("The backbone reads the question", "a hook at the edit layer sees the states", ""),
    ("Hard: is the picture alike?", "edits whose picture is another drop out", ""),
    ("Soft: is the question alike?", "the others are weighed, or drop out, too", ""),
    ("Their experts are added", "to the states, here and at every further token", ""),
    ("The model answers", "bit for bit as before if no edit passed", "ask"),
]
STYLE = """
  .card { fill: #fcfcf9; stroke: #d5d5cc }
  .box { fill: #ffffff; stroke: #8a8f98 }
  .ask { fill: #e8f0fd; stroke: #3b6fc4 }
  .store { fill: #fdf1dc; stroke: #b97a13 }
  .arrow { stroke: #8a8f98; stroke-width: 2; fill: none }
  .head { fill: #8a8f98 }
  text { font-family: system-ui, "Helvetica Neue", Arial, sans-serif; fill: #1c1f23 }
  .name { font-size: 17px; font-weight: 600 }
  .about { font-size: 14.5px; fill: #4b5058 }
  @media (prefers-color-scheme: dark) {
    .card { fill: #1b1d20; stroke: #3a3d42 }
    .box { fill: #26292d; stroke: #7d838c }
    .ask { fill: #1d2c46; stroke: #6d9cf0 }
    .store { fill: #3a2d14; stroke: #d9a441 }
    text { fill: #eceef1 }
    .about { fill: #b9bec6 }
  }
"""


def layers() -> list[list[str]]:
    """Rooms of each layer, the highest first, as import-linter keeps them."""
    tables = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = tables["tool"]["importlinter"]["contracts"]
    (found,) = (one["layers"] for one in contracts if one["type"] == "layers")
    return [
        [name.strip().removeprefix("liveedit.") for name in row.replace(":", "|").split("|")]
        for row in found
    ]


def draw_rooms() -> str:
    """Every room, what is in it, and that imports run down."""
    rows = [
        [(name, ROOMS[name], {"store": "store", "cli": "ask"}.get(name, "")) for name in row]
        for row in layers()
    ]
    return _drawn(rows, "The rooms of src/liveedit; imports run down only")


def draw_way(steps: list[tuple[str, str, str]], title: str) -> str:
    """One step below the other."""
    return _drawn([[step] for step in steps], title)


def _drawn(rows: list[list[tuple[str, str, str]]], title: str) -> str:
    height, step = 54, 78
    whole = 2 * MARGIN + (len(rows) - 1) * step + height
    parts = []
    for at, row in enumerate(rows):
        top = MARGIN + at * step
        width = (WIDTH - 2 * MARGIN - (len(row) - 1) * GAP) / len(row)
        for column, (name, about, kind) in enumerate(row):
            left = MARGIN + column * (width + GAP)
            middle = left + width / 2
            parts += [
                f'<rect class="{kind or "box"}" x="{left:g}" y="{top}" width="{width:g}" '
                f'height="{height}" rx="8"/>',
                f'<text class="name" x="{middle:g}" y="{top + 23}" text-anchor="middle">'
                f"{escape(name)}</text>",
                f'<text class="about" x="{middle:g}" y="{top + 43}" text-anchor="middle">'
                f"{escape(about)}</text>",
            ]
        if at + 1 < len(rows):
            foot = top + height
            parts += [
                f'<path class="arrow" d="M{WIDTH / 2:g} {foot + 3}v12"/>',
                f'<path class="head" d="M{WIDTH / 2 - 6:g} {foot + 13}h12l-6 9z"/>',
            ]
    body = "\n  ".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {whole}" width="{WIDTH}" '
        f'height="{whole}" role="img">\n  <title>{escape(title)}</title>\n'
        f"  <style>{STYLE}  </style>\n"
        f'  <rect class="card" x="0.5" y="0.5" width="{WIDTH - 1}" height="{whole - 1}" rx="12"/>\n'
        f"  {body}\n</svg>\n"
    )


def pictures() -> dict[Path, str]:
    """What each file holds."""
    return {
        HERE / "rooms.svg": draw_rooms(),
        HERE / "one-correction.svg": draw_way(CORRECTION, "The way of one correction"),
        HERE / "one-question.svg": draw_way(QUESTION, "The way of one question"),
    }


if __name__ == "__main__":
    for path, drawn in pictures().items():
        path.write_text(drawn, encoding="utf-8")
