"""LiveEdit's tensors as the store keeps them: keys are routing features, values are experts."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from liveedit.methods.liveedit.config import EditorConfig
from liveedit.methods.liveedit.generator import Experts
from liveedit.methods.liveedit.routing import EditFeatures
from liveedit.store.layout import Layout
from liveedit.store.tensors import Keys


def layout_of(config: EditorConfig, state_width: int) -> Layout:
    """Names and shapes of an edit's tensors.

    Args:
        config: Of the editor.
        state_width: Width of the backbone's states.
    """
    features, shape = config.width * config.vectors, (config.rank, state_width)
    return Layout(keys={"vision": features, "prompt": features}, values={"u": shape, "v": shape})


def keys_of(features: EditFeatures) -> Keys:
    """Routing features as keys; without a picture there is no vision feature."""
    vision = torch.where(features.sees[:, None], features.vision, 0.0)
    return Keys(vectors={"vision": vision, "prompt": features.prompt}, sees=features.sees)


def features_of(keys: Keys) -> EditFeatures:
    """Keys as edit-side routing features."""
    vectors = keys.vectors
    return EditFeatures(vision=vectors["vision"], prompt=vectors["prompt"], sees=keys.sees)


def experts_of(values: Mapping[str, Tensor]) -> Experts:
    """Values as experts."""
    return Experts(u=values["u"], v=values["v"])
