"""LiveEdit's tensors as the store keeps them: keys are routing features, values are experts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from liveedit.methods.liveedit.config import EditorConfig
from liveedit.methods.liveedit.experts import ExpertSlots
from liveedit.methods.liveedit.features import EditFeatures
from liveedit.store.layout import Layout
from liveedit.store.tensors import Keys


def layout_of(config: EditorConfig, state_width: int) -> Layout:
    """Names and shapes of an edit's tensors; an expert has as many slots as it needs.

    Args:
        config: Of the editor.
        state_width: Width of the backbone's states.
    """
    features, shape = config.width * config.vectors, (None, state_width)
    return Layout(keys={"vision": features, "prompt": features}, values={"u": shape, "v": shape})


def keys_of(features: EditFeatures) -> Keys:
    """Routing features as keys."""
    vectors = {"vision": features.vision, "prompt": features.prompt}
    return Keys(vectors=vectors, sees=features.sees)


def features_of(keys: Keys) -> EditFeatures:
    """Keys as edit-side routing features."""
    vectors = keys.vectors
    return EditFeatures(vision=vectors["vision"], prompt=vectors["prompt"], sees=keys.sees)


def experts_of(values: Mapping[str, Sequence[Tensor]]) -> ExpertSlots:
    """Values as experts."""
    return ExpertSlots.of(values["u"], values["v"])
