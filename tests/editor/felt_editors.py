"""Folders of untrained editors that let every expert through and make it felt."""

from pathlib import Path

import torch
from PIL import Image

from liveedit.backbones.base import Backbone
from liveedit.methods.liveedit.checkpoint import save_editor
from liveedit.methods.liveedit.config import EditorConfig
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.methods.liveedit.representation import measure_scale

ASKED = ["What is this?", "Who are you, my friend?"]
PICTURE = Image.radial_gradient("L").convert("RGB").resize((56, 56))


def felt_editor(backbone: Backbone, folder: Path) -> Path:
    """Write one for a backbone."""
    torch.manual_seed(1)
    network = EditorNetwork(EditorConfig(width=16, heads=2, rank=4, dropout=0.0), backbone.width)
    query = backbone.query([PICTURE, None], ASKED)
    network.set_scale(measure_scale(backbone.states(query)[query.attention_mask.bool()].float()))
    network.router.margin.fill_(-100)
    network.router.prompt_bias.data.fill_(5)
    network.router.text_bias.data.fill_(5)
    network.generator.v_gain.data.fill_(20)
    save_editor(network, backbone.fingerprint(), folder)
    return folder
