"""Which classes look alike to the unedited model."""

from __future__ import annotations

import torch
from torch.nn import functional as F
from tqdm import tqdm

from liveedit.backbones.base import Backbone
from liveedit.backbones.picture_features import encode_pictures
from liveedit.correction.images import open_image
from liveedit.data.photo_edit.corrections import Near
from liveedit.data.photo_edit.folder import PhotoFolder

_OF_A_CLASS = 3  # photographs that a class is judged by
_NEAREST = 8
_BATCH = 32


@torch.no_grad()
def nearest_classes(backbone: Backbone, folder: PhotoFolder) -> Near:
    """For each class those most like it by the model's own features, the nearest first.

    A class is the mean of its first photographs' features, less the mean of all classes; classes
    are compared by their cosine.

    Args:
        backbone: The unedited model.
        folder: Photographs by class.
    """
    things = list(folder.classes)
    owners, files = zip(
        *((at, file) for at, thing in enumerate(things)
          for file in folder.classes[thing][:_OF_A_CLASS]),
        strict=True,
    )  # fmt: skip
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
