"""Pictures saved anew by the model's own features, beside the learned ones.

    python benchmarks/own_features.py [--editor FOLDER] [--corrections 256] [--json]

Validation corrections, all in force. A query finds its correction if no other is nearer and the
similarity exceeds a threshold, which lets one in a hundred of the other pictures (RI, M-Loc) fire
any of them. Three features of a picture: the mean image token as the tower gives it; the mean of
its states at the edit layer; both centred and whitened on the corrections' own pictures, as
LiveEdit's learned feature is not. The learned one is less its sentinel, as the hard filter has it.
"""

from __future__ import annotations

import argparse
import json

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from liveedit import EditedModel
from liveedit.backbones.picture_features import encode_pictures
from liveedit.data.cached_states import CachedViews, cache_views
from liveedit.data.emoji_edit.corrections import validation_set
from liveedit.data.resaving import RESAVED
from liveedit.data.views import views_of
from liveedit.saving.cache_folder import cache_folder
from liveedit.training.calibration import compare

_OTHERS = ("other image", "elsewhere")
_ANEW = tuple(f"saved anew: {name}" for name in RESAVED)
_VIEWS = ("edit", *_OTHERS, *_ANEW)
_FALSE_FIRE = 0.01
_HELD = 0.95  # of the variance, by the principal components that are kept


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="pocket", help="pocket, or a folder")
    parser.add_argument("--editor", help="folder of an editor; by default the shipped one")
    parser.add_argument("--corrections", type=int, default=256)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    model = EditedModel.from_pretrained(options.model, editor=options.editor)
    cases = validation_set(options.corrections)
    views = cache_views(model.backbone, cases, cache_folder() / "states", names=_VIEWS)
    pictures = [views_of(case, _VIEWS) for case in cases]
    tower = {
        name: encode_pictures(model.backbone, [row[at][0] for row in pictures])
        for at, name in enumerate(_VIEWS)
    }
    learned = compare(model.backbone, model.method.network, views)
    features = {
        "the tower's": similarities(tower),
        "states at the edit layer": similarities(mean_states(model, views)),
        "learned": {name: one.vision - one.sentinel for name, one in learned.items()},
    }
    found = {name: recall(similarity) for name, similarity in features.items()}
    if options.json:
        print(json.dumps(found))
        return
    print(f"{'':>24}" + "".join(f"{name:>26}" for name in found))
    for view in ("edit", *_ANEW):
        print(f"{view:>24}" + "".join(f"{row[view]:26.1f}" for row in found.values()))


def mean_states(model: EditedModel, views: CachedViews) -> dict[str, Float[Tensor, "cases width"]]:
    """Mean state of the image tokens, of every view."""
    found = {}
    for at, name in enumerate(views.names):
        cases = torch.arange(len(views))
        batch = views.batch(cases, torch.full_like(cases, at))
        seen = batch.spans(model.backbone).vision[..., None]
        found[name] = (batch.states.float() * seen).sum(1) / seen.sum(1)
    return found


def similarities(
    features: dict[str, Float[Tensor, "cases width"]],
) -> dict[str, Float[Tensor, "cases edits"]]:
    """Cosines with the corrections', whitened."""
    mean = features["edit"].mean(0)
    _, spread, directions = torch.linalg.svd(features["edit"] - mean, full_matrices=False)
    held = (spread**2).cumsum(0) / (spread**2).sum()
    kept = int((held < _HELD).sum()) + 1
    whiten = directions[:kept].T / spread[:kept]
    white = {name: F.normalize((one - mean) @ whiten, dim=1) for name, one in features.items()}
    return {name: one @ white["edit"].T for name, one in white.items()}


def recall(similarity: dict[str, Float[Tensor, "cases edits"]]) -> dict[str, float]:
    """Share of the queries of each view that find their correction, in percent."""
    strangers = torch.cat([similarity[name].amax(1) for name in _OTHERS])
    threshold = strangers.quantile(1 - _FALSE_FIRE)
    found = {}
    for name, one in similarity.items():
        own = one.diagonal()
        right = (one.argmax(1) == torch.arange(len(one))) & (own > threshold)
        found[name] = round(100 * right.float().mean().item(), 1)
    return found


if __name__ == "__main__":
    main()
