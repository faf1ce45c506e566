"""FT-L: fine-tuning within a norm, against a slow and literal version."""

import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional as F
from transformers import MixtralConfig
from transformers.models.mixtral.modeling_mixtral import MixtralSparseMoeBlock

from liveedit.backbones.registry import backbone_class
from liveedit.correction import Correction
from liveedit.editor import EditedModel
from liveedit.errors import BadCheckpoint, MethodCannot
from liveedit.methods.ft_l.config import FineTuningLConfig
from liveedit.methods.ft_l.method import FineTuningL
from tests.backbones.families import EDIT_LAYER, FAMILIES

ASKED = "What animal is this?"


def delta_of(model: EditedModel) -> torch.Tensor:
    return model.store.pool().take(None)["delta"][-1].float()


def test_it_equals_fine_tuning_of_the_weight_itself(backbone, pictures) -> None:
    config = FineTuningLConfig(steps=3, norm=2e-3, enough=1e-9)
    model = EditedModel(FineTuningL(backbone, config))
    model.edit(pictures[0], ASKED, "a lynx", keep=True)

    query = backbone.query([pictures[0]], [ASKED], ["a lynx"])
    keep, labels = query.spans.predicts, query.input_ids.roll(-1, 1)
    weight = backbone.decoder.layers[-1].mlp.down_proj.weight
    before = weight.detach().clone()
    try:
        weight.requires_grad_()
        optimiser = torch.optim.AdamW([weight], lr=1e-3, weight_decay=0.0)
        for _ in range(3):
            optimiser.zero_grad()
            logits = backbone.forward(query, use_cache=False).logits
            F.cross_entropy(logits[keep], labels[keep]).backward()
            optimiser.step()
            with torch.no_grad():
                weight.copy_(before + (weight - before).clamp(-2e-3, 2e-3))
        literal = (weight - before).detach()
    finally:
        with torch.no_grad():
            weight.copy_(before)
        weight.requires_grad_(False)
        weight.grad = None
    torch.testing.assert_close(delta_of(model), literal, atol=2e-5, rtol=1e-2)


@pytest.mark.parametrize("norm", [5e-4, 3e-3])
def test_no_number_moves_further_than_the_norm(backbone, pictures, norm) -> None:
    model = EditedModel(FineTuningL(backbone, FineTuningLConfig(steps=8, norm=norm)))
    for picture, target in zip(pictures[:2], ("a lynx", "a cat"), strict=True):
        outcome = model.edit(picture, ASKED, target, keep=True)
        assert outcome.steps == 8
        largest = delta_of(model).abs().max()
        assert 0.9 * norm < largest <= norm * 1.001


def test_steps_end_when_the_target_is_learned(backbone, pictures) -> None:
    config = FineTuningLConfig(steps=200, rate=3e-3, norm=1.0, enough=6.0)
    model = EditedModel(FineTuningL(backbone, config))
    outcome = model.edit(pictures[0], ASKED, "a lynx")
    assert outcome.reached
    assert outcome.steps < 200
    assert model.generate(pictures[0], ASKED, max_new_tokens=8) == "a lynx"


def test_an_edit_takes_what_the_layout_says(backbone) -> None:
    method = FineTuningL(backbone, FineTuningLConfig())
    assert dict(method.layout.values) == {"delta": (64, 96)}
    assert method.describe()["bytes_per_edit"] == 2 * 64 * 96 + 4 * 64
    assert method.paths == ("layers.3.mlp.down_proj",)


def test_bad_settings_are_refused(backbone, tmp_path) -> None:
    for wrong in ({"rate": 0}, {"steps": 0}, {"norm": -1}, {"rank": 8}, {"layer": -1}):
        with pytest.raises(ValidationError):
            FineTuningLConfig(**wrong)
    with pytest.raises(ValueError, match="give one of 0 to 3"):
        FineTuningL(backbone, FineTuningLConfig(layer=4))
    with pytest.raises(BadCheckpoint, match="needs no editor"):
        FineTuningL.load(backbone, tmp_path)


def test_a_mixture_of_experts_is_refused() -> None:
    model, processor = FAMILIES["llava"].build()
    config = MixtralConfig(hidden_size=64, intermediate_size=96, num_local_experts=2)
    model.get_decoder().layers[-1].mlp = MixtralSparseMoeBlock(config)
    backbone = backbone_class("llava")(model, processor, edit_layer=EDIT_LAYER, name="mixture")
    with pytest.raises(MethodCannot, match="edit mixture, whose layers have no feed-forward"):
        FineTuningL(backbone, FineTuningLConfig())
    FineTuningL(backbone, FineTuningLConfig(layer=0))


def test_another_layer_is_another_store(backbone) -> None:
    last = FineTuningL(backbone, FineTuningLConfig())
    lower = FineTuningL(backbone, FineTuningLConfig(layer=0))
    assert last.identity != lower.identity
    model = EditedModel(lower)
    model.edit_many([Correction(image=None, prompt=ASKED, target="a cat")], keep=True)
    assert len(model.edits) == 1


def test_settings_to_tune_are_settings() -> None:
    for name, values in FineTuningLConfig.search_space.items():
        for value in values:
            assert getattr(FineTuningLConfig(**{name: value}), name) == value
