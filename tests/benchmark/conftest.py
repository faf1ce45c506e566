"""A tiny editor whose experts are felt, and a few real corrections."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from liveedit.backbones.llava import LlavaBackbone
from liveedit.data.emoji_edit.corrections import EditCase
from liveedit.data.emoji_edit.scene import render
from liveedit.editor import EditedModel
from liveedit.methods.liveedit.config import EditorConfig, LiveEditConfig
from liveedit.methods.liveedit.method import LiveEdit
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.methods.liveedit.representation import measure_scale


@pytest.fixture(scope="session")
def make_model(
    backbone: LlavaBackbone, pictured: list[EditCase]
) -> Callable[..., EditedModel]:  # fmt: skip
    """Makes models with an untrained editor, all alike, without edits.

    Its arguments are the bias of both routers (with 5 every edit fires, with -8 only those about
    much the same do), how corrections are made, and further settings of the editor.
    """
    query = backbone.query(
        [render(case.scene) for case in pictured], [case.question.text for case in pictured]
    )
    scale = measure_scale(backbone.states(query)[query.attention_mask.bool()])

    def make(
        bias: float = 5.0, config: LiveEditConfig | None = None, **editor: object
    ) -> EditedModel:
        torch.manual_seed(1)
        settings = EditorConfig(width=32, heads=2, rank=4, dropout=0.0, **editor)
        network = EditorNetwork(settings, backbone.width).requires_grad_(False)
        network.set_scale(scale)
        network.router.margin.fill_(-100)
        network.router.subject_margin.fill_(-100)
        network.router.prompt_bias.fill_(bias)
        network.router.text_bias.fill_(bias)
        network.generator.v_gain.fill_(20)
        return EditedModel(LiveEdit(backbone, network, config or LiveEditConfig(refine_steps=0)))

    return make
