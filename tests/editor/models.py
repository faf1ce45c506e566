"""A model whose untrained editor is felt, and logits with and without its edits."""

import torch
from PIL import Image

from liveedit.backbones.llava import LlavaBackbone
from liveedit.editor import EditedModel
from liveedit.methods.liveedit.config import EditorConfig, LiveEditConfig
from liveedit.methods.liveedit.method import LiveEdit
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.methods.liveedit.representation import measure_scale

PROMPTS = ["What is this?", "Say at some length what there is to be seen in the picture.", "Why?"]


def with_config(model: EditedModel, config: LiveEditConfig) -> EditedModel:
    """The same without edits, making edits in another way."""
    return EditedModel(LiveEdit(model.backbone, model.method.network, config))


def felt_model(backbone: LlavaBackbone, pictures: list[Image.Image]) -> EditedModel:
    """A model whose untrained editor lets every expert through and makes it felt."""
    torch.manual_seed(1)
    network = EditorNetwork(EditorConfig(width=32, heads=2, rank=4, dropout=0.0), backbone.width)
    query = backbone.query(pictures, PROMPTS)
    network.set_scale(measure_scale(backbone.states(query)[query.attention_mask.bool()]))
    network.router.margin.fill_(-100)
    network.router.prompt_bias.data.fill_(5)
    network.router.text_bias.data.fill_(5)
    network.generator.v_gain.data.fill_(20)
    return EditedModel(LiveEdit(backbone, network))


def all_logits(model: EditedModel, pictures: list[Image.Image]) -> torch.Tensor:
    """Logits of a whole pass with the edits in force."""
    query = model.backbone.query([None, *pictures[:2]], PROMPTS)
    with torch.no_grad(), model.method.applied(query, model._pool()):
        return model.backbone.model(**query.model_inputs()).logits


def base_logits(model: EditedModel, pictures: list[Image.Image]) -> torch.Tensor:
    query = model.backbone.query([None, *pictures[:2]], PROMPTS)
    with torch.no_grad():
        return model.backbone.model(**query.model_inputs()).logits
