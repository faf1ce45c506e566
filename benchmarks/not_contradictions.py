"""Pairs of corrections that do not contradict each other, the nearest ones: is any superseded?

    python benchmarks/not_contradictions.py [--editor FOLDER] [--pairs 10000] [--json]

The corrections are emoji-edit's evaluation corrections, the look-alikes and the facts about one
picture of the evaluation side: any two of them are about other pictures or ask something else. Of
all pairs the nearest by the method's own similarity are looked at: how many would be taken for the
same question, and of these how many for the same picture, too, so that one superseded the other.
Text-only ones are the eight facts about each made-up subject.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

import torch
from jaxtyping import Int
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from liveedit import EditedModel
from liveedit.benchmark.scope.facts import about_one_picture, about_one_subject
from liveedit.benchmark.scope.pictures import cases_of, correction_of, look_alikes
from liveedit.correction import Correction
from liveedit.correction.same_picture import same_picture
from liveedit.methods.liveedit.conflicts import likeness
from liveedit.methods.liveedit.features import RoutingFeatures
from liveedit.methods.liveedit.representation import Representation, standardise

_BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="pocket", help="pocket, or a folder")
    parser.add_argument("--editor", help="folder of an editor; by default the shipped one")
    parser.add_argument("--pairs", type=int, default=10_000, help="how many are looked at")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    model = EditedModel.from_pretrained(options.model, editor=options.editor)
    pictured = [correction_of(case) for case in cases_of("evaluation")]
    for trial in (look_alikes("evaluation"), about_one_picture("evaluation")):
        pictured += [one for some in trial.corrections for one in some]
    text_only = [one for some in about_one_subject("evaluation").corrections for one in some]
    found = {
        "with a picture": looked_at(model, pictured, options.pairs),
        "text-only": looked_at(model, text_only, options.pairs),
    }
    if options.json:
        print(json.dumps(found))
        return
    for kind, figures in found.items():
        print(kind, *(f"{what}: {figure}" for what, figure in figures.items()), sep="\n  ")


@torch.no_grad()
def looked_at(model: EditedModel, some: Sequence[Correction], count: int) -> dict[str, object]:
    """What is taken for what among the nearest pairs.

    Args:
        model: Its method compares.
        some: Corrections, no two of which are about the same.
        count: How many pairs.
    """
    features = features_of(model, some)
    alike = likeness(features, features, model.method.config)
    pairs = nearest(alike.similarity, count)
    asked = pairs[alike.asked[pairs[:, 0], pairs[:, 1]]]
    superseded = [
        (one, other)
        for one, other in tqdm(asked.tolist(), desc="pictures", unit="pair")
        if same(some[one], some[other])
    ]
    return {
        "corrections": len(some),
        "pairs": len(pairs),
        "farthest similarity": round(alike.similarity[pairs[-1, 0], pairs[-1, 1]].item(), 4),
        "the same question": len(asked),
        "superseded": len(superseded),
        "which": [
            f"{some[one].prompt} -> {some[one].target} | {some[other].prompt} -> "
            f"{some[other].target}"
            for one, other in superseded[:10]
        ],
    }


def nearest(similarity: Tensor, count: int) -> Int[Tensor, "pairs 2"]:
    """The nearest pairs, each once."""
    below = similarity.tril(-1) - 2 * torch.ones_like(similarity).triu()
    chosen = below.flatten().topk(min(count, len(below) * (len(below) - 1) // 2)).indices
    return torch.stack([chosen // len(below), chosen % len(below)], 1)


def same(one: Correction, other: Correction) -> bool:
    """Whether both pictures are taken for one."""
    if one.image is None or other.image is None:
        return one.image is other.image
    assert isinstance(one.image, Image.Image)
    assert isinstance(other.image, Image.Image)
    return one.image.tobytes() == other.image.tobytes() or same_picture(one.image, other.image)


def features_of(model: EditedModel, some: Sequence[Correction]) -> RoutingFeatures:
    """Routing features of corrections."""
    backbone, network = model.backbone, model.method.network
    parts = []
    for start in tqdm(range(0, len(some), _BATCH), desc="features", unit="batch"):
        part = some[start : start + _BATCH]
        query = backbone.query([one.image for one in part], [one.prompt for one in part])
        states = standardise(backbone.states(query), network.scale)
        parts.append(network.extractor(Representation(states=states, spans=query.spans)))
    return RoutingFeatures.join(parts)


if __name__ == "__main__":
    main()
