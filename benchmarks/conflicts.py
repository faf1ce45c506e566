"""How alike two corrections must be to be about the same: recall and mistakes over the threshold.

    python benchmarks/conflicts.py [--json]

On the validation corrections: the share of queries taken to be about the same as their own edit
(in other words; by the other artist; both; and, wrongly, with another picture or another question),
and the number of pairs of different corrections that are.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

import torch
from PIL import Image
from tqdm import tqdm

from liveedit import EditedModel
from liveedit.data.emoji_edit.corrections import validation_set
from liveedit.data.emoji_edit.scene import render
from liveedit.methods.liveedit.conflicts import likeness
from liveedit.methods.liveedit.representation import Representation, standardise
from liveedit.methods.liveedit.routing import RoutingFeatures

_BATCH = 32
_THRESHOLDS = (0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="pocket", help="pocket, or a folder")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    model = EditedModel.from_pretrained(options.model)
    cases = validation_set()
    seen, redrawn, other = (
        [render(scene) for scene in scenes]
        for scenes in (
            [case.scene for case in cases],
            [case.scene.redrawn() for case in cases],
            [case.strict_scene for case in cases],
        )
    )
    asked = [case.question.text for case in cases]
    again = [case.rephrase.text for case in cases]
    edits = _features(model, seen, asked)
    queries = {
        "rephrased": _features(model, seen, again),
        "redrawn": _features(model, redrawn, asked),
        "both": _features(model, redrawn, again),
        "ri": _features(model, other, asked),
        "ci": _features(model, seen, [case.strict_question.text for case in cases]),
    }
    pairs = likeness(edits, edits).tril(-1)
    rows = []
    for threshold in _THRESHOLDS:
        row: dict[str, float] = {"threshold": threshold}
        for name, features in queries.items():
            own = likeness(features, edits).diagonal()
            row[name] = round((own > threshold).float().mean().item(), 4)
        row["pairs"] = int((pairs > threshold).sum())
        rows.append(row)
    if options.json:
        print(json.dumps({"corrections": len(cases), "rows": rows}))
        return
    print("  ".join(f"{name:>9}" for name in rows[0]))
    for row in rows:
        print("  ".join(f"{value:>9.4g}" for value in row.values()))


@torch.no_grad()
def _features(
    model: EditedModel, images: Sequence[Image.Image], prompts: Sequence[str]
) -> RoutingFeatures:
    backbone, network = model.backbone, model.method.network
    parts = []
    for start in tqdm(range(0, len(prompts), _BATCH), desc="features", unit="batch"):
        part = slice(start, start + _BATCH)
        query = backbone.query(images[part], prompts[part])
        states = standardise(backbone.states(query), network.scale)
        parts.append(network.extractor(Representation(states=states, spans=query.spans)))
    return RoutingFeatures.join(parts)


if __name__ == "__main__":
    main()
