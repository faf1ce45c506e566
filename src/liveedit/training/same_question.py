"""From which cosine on two questions about a picture are the same, chosen on validation data.

What is taken for the same question supersedes, and what is superseded by mistake is lost: so the
threshold is where next to no two corrections that ask something else exceed it.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from liveedit.backbones.base import Backbone
from liveedit.data.cached_states import CachedViews
from liveedit.methods.liveedit.config import SAME_QUESTION
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.training.calibration import features_of_view

_MISTAKEN = 1e-3  # largest share of pairs that ask something else and exceed the threshold
_STEPS = torch.linspace(SAME_QUESTION, 1.0, 46)


@torch.no_grad()
def same_question(
    backbone: Backbone, network: EditorNetwork, views: CachedViews, asks: Int[Tensor, " cases"]
) -> float:
    """The least threshold above which at most one pair in a thousand asks something else.

    Args:
        backbone: The frozen model.
        network: The editor.
        views: Validation corrections.
        asks: A number for what each asks: equal where they ask the same.
    """
    network.eval()
    edit = views.names.index("edit")
    features = features_of_view(network.edit_features, backbone, network, views, edit)
    return threshold(features.prompt, asks)


def threshold(prompts: Float[Tensor, "cases features"], asks: Int[Tensor, " cases"]) -> float:
    """The same, by prompt features of length one."""
    others = (asks[:, None] != asks).triu(1)
    cosines = (prompts @ prompts.T).cpu()[others.cpu()]
    if not len(cosines):
        return SAME_QUESTION
    allowed = int(_MISTAKEN * len(cosines))
    nearest = cosines.topk(allowed + 1).values[-1].clamp(max=1.0)  # rounding may exceed one
    return round(_STEPS[nearest <= _STEPS][0].item(), 2)
