"""Pictures of new corrections against those of earlier ones: compared together, and pair by pair.

    python benchmarks/same_picture.py [--others 16] [--json]

What edits do where so many earlier ones ask the same. What is seen in one picture alone (how it
looks with a part cut off, within its borders) is looked for once where a picture is compared with
several, and anew where pairs are compared. Thumbnails as a store keeps them; one thread, the
shortest of five rounds, both ways in turn.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Callable

from PIL import Image

from liveedit.correction import pictures_identity
from liveedit.correction.same_picture import same_picture
from liveedit.data.emoji_edit.corrections import evaluation_set
from liveedit.data.emoji_edit.scene import render
from liveedit.methods.shared.known_pictures import KnownPictures
from liveedit.store.serialization import thumbnail

_EDITS, _ROUNDS = 32, 5


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--others", type=int, default=16, help="pictures that each is compared to")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    cases = evaluation_set(_EDITS + options.others)
    pictures = [render(case.scene) for case in cases]
    new = pictures[:_EDITS]
    names = list(map(pictures_identity, pictures))
    kept = {name: thumbnail(one) for name, one in zip(names, pictures, strict=True) if name}

    def together() -> list[bool]:
        known = KnownPictures(kept.get)
        return [
            known.same(name, one, other)
            for name, one in zip(names, new, strict=False)
            for other in names[_EDITS:]
        ]

    def by_pairs() -> list[bool]:
        opened = [Image.open(io.BytesIO(kept[name])) for name in names[_EDITS:] if name]
        return [same_picture(one, other) for one in new for other in opened]

    found = _side_by_side(together, by_pairs)
    print(json.dumps(found) if options.json else json.dumps(found, indent=1))


def _side_by_side(
    together: Callable[[], list[bool]], by_pairs: Callable[[], list[bool]]
) -> dict[str, float]:
    shortest = {together: float("inf"), by_pairs: float("inf")}
    for _ in range(_ROUNDS):
        answers = []
        for way in shortest:
            start = time.perf_counter()
            answers.append(way())
            shortest[way] = min(shortest[way], time.perf_counter() - start)
        assert answers[0] == answers[1]
    return {
        "ms an edit": round(1e3 * shortest[together] / _EDITS, 2),
        "of pairs one by one": round(shortest[together] / shortest[by_pairs], 3),
    }


if __name__ == "__main__":
    main()
