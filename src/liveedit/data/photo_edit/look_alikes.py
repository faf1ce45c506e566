"""Which classes look alike to the unedited model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch.nn import functional as F
from tqdm import tqdm

from liveedit.backbones.base import Backbone
from liveedit.backbones.picture_features import encode_pictures
from liveedit.correction.images import open_image
from liveedit.data.cached_states import weights_digest
from liveedit.data.photo_edit.corrections import Near
from liveedit.data.photo_edit.folder import PhotoFolder
from liveedit.saving.cache_folder import cache_folder
from liveedit.saving.files import file_digest, write_whole

_OF_A_CLASS = 3  # photographs that a class is judged by
_NEAREST = 8
_BATCH = 32


def nearest_classes(backbone: Backbone, folder: PhotoFolder) -> Near:
    """For each class those most like it by the model's own features, the nearest first.

    A class is the mean of its first photographs' features, less the mean of all classes; classes
    are compared by their cosine. What was found is kept in the user's cache, by the content of the
    photographs and of the model's weights.

    Args:
        backbone: The unedited model.
        folder: Photographs by class.
    """
    shown = {thing: files[:_OF_A_CLASS] for thing, files in folder.classes.items()}
    contents = {thing: [file_digest(file) for file in files] for thing, files in shown.items()}
    described = json.dumps([weights_digest(backbone), _NEAREST, contents])
    kept = cache_folder() / "look-alikes" / f"{hashlib.sha256(described.encode()).hexdigest()}.json"
    if kept.is_file():
        near: Near = json.loads(kept.read_text(encoding="utf-8"))
        return near
    near = _nearest(backbone, shown)
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_whole(kept, json.dumps(near))
    return near


@torch.no_grad()
def _nearest(backbone: Backbone, shown: Mapping[str, Sequence[Path]]) -> Near:
    things = list(shown)
    owners, files = zip(
        *((at, file) for at, thing in enumerate(things) for file in shown[thing]), strict=True
    )
    sums = torch.zeros(len(things), backbone.width)
    with tqdm(total=len(files), desc="looking at photographs", unit="photograph") as bar:
        for start in range(0, len(files), _BATCH):
            some = slice(start, start + _BATCH)
            features = encode_pictures(backbone, [open_image(file) for file in files[some]])
            sums.index_add_(0, torch.tensor(owners[some]), features)
            bar.update(len(features))
    counts = torch.bincount(torch.tensor(owners), minlength=len(things))
    means = sums / counts[:, None]
    features = F.normalize(means - means.mean(0), dim=1)
    cosines = (features @ features.T).fill_diagonal_(-torch.inf)
    order = cosines.topk(min(_NEAREST, len(things) - 1), dim=1).indices.tolist()
    return {thing: [things[at] for at in row] for thing, row in zip(things, order, strict=True)}
