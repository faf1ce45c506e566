"""When two questions are the same: recall and mistakes over the threshold of their cosine.

    python benchmarks/conflicts.py [--json]

On the validation corrections: the share of questions taken for their own correction's (in other
words, in free words; and, wrongly, another question about the same picture), and how many pairs of
different questions are taken for one. The same for text-only corrections, among them eight facts
about each made-up subject, and for the subjects they are about. A correction is superseded if the
question is the same, and the picture or, of text-only ones, the subject.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from liveedit import EditedModel
from liveedit.benchmark.scope.facts import about_one_picture
from liveedit.data.emoji_edit.corrections import validation_set
from liveedit.data.emoji_edit.knowledge import text_validation_set
from liveedit.data.emoji_edit.made_up import made_up_cases
from liveedit.data.emoji_edit.scene import render
from liveedit.methods.liveedit.features import RoutingFeatures
from liveedit.methods.liveedit.representation import Representation, standardise

_BATCH = 32
_THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.97, 0.99)


@dataclass(frozen=True, kw_only=True)
class Table:
    """Cosines by what they are of; of pairs it is told how many exceed the threshold."""

    shares: dict[str, Float[Tensor, " some"]]
    pairs: dict[str, Float[Tensor, " pairs"]]

    def rows(self) -> list[dict[str, float]]:
        """One for each threshold."""
        return [
            {
                "threshold": threshold,
                **{
                    name: round((cosines > threshold).float().mean().item(), 4)
                    for name, cosines in self.shares.items()
                },
                **{
                    f"{name} ({len(cosines)})": int((cosines > threshold).sum())
                    for name, cosines in self.pairs.items()
                },
            }
            for threshold in _THRESHOLDS
        ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="pocket", help="pocket, or a folder")
    parser.add_argument("--editor", help="folder of an editor; by default the shipped one")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    model = EditedModel.from_pretrained(options.model, editor=options.editor)
    asked, about = _text_only(model)
    found = {
        "with a picture": _pictured(model).rows(),
        "text-only, what is asked": asked.rows(),
        "text-only, the subject": about.rows(),
    }
    if options.json:
        print(json.dumps(found))
        return
    for name, rows in found.items():
        print(name)
        print("  ".join(f"{title:>21}" for title in rows[0]))
        for row in rows:
            print("  ".join(f"{value:>21.4g}" for value in row.values()))


def _pictured(model: EditedModel) -> Table:
    cases = validation_set()
    shown = [render(case.scene) for case in cases]
    own = _features(model, shown, [case.question.text for case in cases])
    meanings = [case.question.meaning for case in cases]
    facts = about_one_picture("validation").corrections[0]
    pictures = [fact.image for fact in facts if isinstance(fact.image, Image.Image)]
    eight = _features(model, pictures, [fact.prompt for fact in facts])
    together = torch.arange(len(facts)) // 8
    return Table(
        shares={
            "rephrased": _own(own, model, shown, [case.rephrase.text for case in cases]),
            "free words": _own(own, model, shown, [case.again.text for case in cases]),
            "other question": _own(own, model, shown, [c.strict_question.text for c in cases]),
        },
        pairs={
            "pairs": _between(own, torch.tensor([[a != b for b in meanings] for a in meanings])),
            "of one picture": _between(eight, together[:, None] == together),
        },
    )


def _text_only(model: EditedModel) -> tuple[Table, Table]:
    """By what is asked, and by what it is asked about."""
    cases = text_validation_set() + made_up_cases("validation")
    own = _features(model, None, [case.question for case in cases])
    reworded = _features(model, None, [case.rephrase for case in cases])
    others = _features(model, None, [case.other_question for case in cases])
    one = torch.tensor([[a.thing == b.thing for b in cases] for a in cases])
    asked = Table(
        shares={
            "rephrased": (own.prompt * reworded.prompt).sum(1),
            "other question": (own.prompt * others.prompt).sum(1),
        },
        pairs={"of one subject": _between(own, one)},
    )
    elsewhere = torch.tensor([case.thing != case.other_thing for case in cases])
    about = Table(
        shares={
            "rephrased": (own.vision * reworded.vision).sum(1),
            "other subject": (own.vision * others.vision).sum(1)[elsewhere],
        },
        pairs={"of other subjects": (own.vision @ own.vision.T)[(~one).tril(-1)]},
    )
    return asked, about


def _own(
    own: RoutingFeatures,
    model: EditedModel,
    shown: Sequence[Image.Image],
    asked: Sequence[str],
) -> Float[Tensor, " some"]:
    return (own.prompt * _features(model, shown, asked).prompt).sum(1)


def _between(
    features: RoutingFeatures, wanted: Bool[Tensor, "some some"]
) -> Float[Tensor, " pairs"]:
    return (features.prompt @ features.prompt.T)[wanted.tril(-1)]


@torch.no_grad()
def _features(
    model: EditedModel, shown: Sequence[Image.Image] | None, asked: Sequence[str]
) -> RoutingFeatures:
    backbone, network = model.backbone, model.method.network
    parts = []
    for start in tqdm(range(0, len(asked), _BATCH), desc="features", unit="batch"):
        part = slice(start, start + _BATCH)
        pictures = [None] * len(asked[part]) if shown is None else shown[part]
        query = backbone.query(pictures, asked[part])
        states = standardise(backbone.states(query), network.scale)
        parts.append(network.extractor(Representation(states=states, spans=query.spans)))
    return RoutingFeatures.join(parts)


if __name__ == "__main__":
    main()
