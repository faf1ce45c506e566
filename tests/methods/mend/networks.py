"""Networks of MEND for tiny models."""

from functools import cache

import numpy as np
from PIL import Image

from liveedit.backbones.base import Backbone
from liveedit.methods.mend.config import MendNetworkConfig
from liveedit.methods.mend.gradients import gradients
from liveedit.methods.mend.method import new_network
from liveedit.methods.mend.network import MendNetwork
from liveedit.methods.shared.weights.target_pass import TargetPass

_MEASURED: dict[int, MendNetwork] = {}


def measured_network(backbone: Backbone) -> MendNetwork:
    """An untrained network that knows how large gradients are; one for each model."""
    if id(backbone) not in _MEASURED:
        network = new_network(backbone, MendNetworkConfig(layers=2, rank=4), seed=0)
        lowest = backbone.layers - 2
        found = []
        for target in ("a b", "cd", "e"):
            query = backbone.query([_picture()], ["What?"], [target])
            found.append(gradients(TargetPass(backbone, query, lowest), {}, network.sizes))
        network.measure(found)
        _MEASURED[id(backbone)] = network.eval().requires_grad_(False)
    return _MEASURED[id(backbone)]


@cache
def _picture() -> Image.Image:
    random = np.random.default_rng(1)
    return Image.fromarray(random.integers(0, 256, (4, 4, 3), dtype=np.uint8)).resize((160, 120))
