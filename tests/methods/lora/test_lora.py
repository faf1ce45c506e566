"""LoRA: adapters that are peft's own, outside the model."""

import copy
import sys

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from pydantic import ValidationError
from torch.nn import functional as F

from liveedit.backbones.query import Questions
from liveedit.backbones.registry import backbone_class
from liveedit.editor import EditedModel
from liveedit.errors import MethodCannot, MissingExtra
from liveedit.methods.lora.config import LoraMethodConfig
from liveedit.methods.lora.method import Lora
from liveedit.methods.shared.weights.peft_factors import new_factors
from liveedit.methods.shared.weights.weight_change import LowRank, SummedRanks
from tests.backbones.families import EDIT_LAYER, FAMILIES

ASKED = "What animal is this?"
WHERE = r".*language_model.layers.*(q_proj|v_proj)"
FIXED = {"steps": 2, "rate": 1e-2, "enough": 1e-9}


@pytest.fixture(scope="module")
def adapted(tiny_model):
    """A copy of the model with an adapter inside, as peft's users have it."""
    model = copy.deepcopy(tiny_model)
    inject_adapter_in_model(LoraConfig(r=8, lora_alpha=32, target_modules=WHERE), model)
    return model.eval()


def layers_of(model):
    """Modules with an adapter, by their path under the decoder."""
    return {
        name.split("language_model.")[1]: module
        for name, module in model.named_modules()
        if hasattr(module, "lora_A")
    }


def test_training_equals_pefts(backbone, adapted, pictures) -> None:
    method = Lora(backbone, LoraMethodConfig(**FIXED))
    edited = EditedModel(method)
    edited.edit(pictures[0], ASKED, "a lynx", keep=True)
    query = backbone.query([pictures[0]], [ASKED], ["a lynx"])
    keep, labels = query.spans.predicts, query.input_ids.roll(-1, 1)

    factors, scale = new_factors(
        {path: method.sizes(path) for path in method.paths}, rank=8, alpha=32, seed=0
    )
    layers = layers_of(adapted)
    assert set(layers) == set(method.paths)
    for path, (a, b) in factors.items():
        layers[path].lora_A["default"].weight.data.copy_(a)
        layers[path].lora_B["default"].weight.data.copy_(b)
        assert layers[path].scaling["default"] == scale == 4.0
    own = [one for one in adapted.parameters() if one.requires_grad]
    optimiser = torch.optim.Adam(own, lr=1e-2)
    for _ in range(2):
        optimiser.zero_grad()
        logits = adapted(**query.model_inputs(), position_ids=query.position_ids).logits
        F.cross_entropy(logits[keep], labels[keep]).backward()
        optimiser.step()
    with torch.no_grad():
        literal = adapted(**query.model_inputs(), position_ids=query.position_ids).logits
    asked = Questions(pictures=[pictures[0]], prompts=[ASKED], targets=["a lynx"])
    with method.apply(asked, edited.store.pool()) as again:
        ours = backbone.logits(again)
    assert not torch.allclose(ours, backbone.logits(query), atol=1e-2)
    torch.testing.assert_close(ours, literal, atol=1e-3, rtol=1e-3)


def test_one_adapter_goes_on_learning(backbone, pictures) -> None:
    model = EditedModel(Lora(backbone, LoraMethodConfig(adapter="one", **FIXED)))
    name = "layers.0.self_attn.q_proj.reads"
    for picture, target in zip(pictures[:2], ("a lynx", "a cat"), strict=True):
        model.edit(picture, ASKED, target, keep=True)
    first, last = model.store.pool().take(None)[name]
    assert 0 < (first - last).abs().max() <= 0.021  # two steps further, from the first one's end
    ((_, changes),) = model.method.rows_of(model.store.pool(), 1)
    assert torch.equal(changes["layers.0.self_attn.q_proj"].joined.reads, last.float())


def test_each_edit_has_an_adapter_of_its_own(backbone, pictures) -> None:
    model = EditedModel(Lora(backbone, LoraMethodConfig(**FIXED)))
    for picture, target in zip(pictures[:2], ("a lynx", "a cat"), strict=True):
        model.edit(picture, ASKED, target, keep=True)
    ((_, changes),) = model.method.rows_of(model.store.pool(), 1)
    own = model.store.pool().take(None)["layers.0.self_attn.q_proj.reads"]
    assert torch.equal(changes["layers.0.self_attn.q_proj"].joined.reads, torch.cat(own).float())
    assert model.method.identity != Lora(backbone, LoraMethodConfig(adapter="one")).identity


def test_many_ranks_become_one_matrix() -> None:
    torch.manual_seed(0)
    parts = [LowRank(reads=torch.randn(2, 6), writes=torch.randn(2, 5)) for _ in range(3)]
    total, literal = SummedRanks(), torch.zeros(5, 6)
    for at, part in enumerate(parts):
        total = total.plus(part)  # of rank 2, then of more numbers than the matrix has
        literal = literal + sum(
            torch.outer(write, read) for write, read in zip(part.writes, part.reads, strict=True)
        )
        assert (total.summed is None) == (at == 0)
        inputs = torch.randn(2, 6)
        torch.testing.assert_close(total.added(inputs), inputs @ literal.T)


def test_nothing_of_the_model_is_touched(pictures) -> None:
    model, processor = FAMILIES["llava"].build()
    before = {name: (one.requires_grad, one._version) for name, one in model.named_parameters()}
    kinds = [type(module) for module in model.modules()]
    backbone = backbone_class("llava")(model, processor, edit_layer=EDIT_LAYER, name="own")
    edited = EditedModel(Lora(backbone, LoraMethodConfig(steps=1)))
    edited.edit(pictures[0], ASKED, "ab", keep=True)
    after = {name: (one.requires_grad, one._version) for name, one in model.named_parameters()}
    assert after == before
    assert [type(module) for module in model.modules()] == kinds
    assert all(one.grad is None for one in model.parameters())
    edited.close()
    hooks = [type(one) for module in model.modules() for one in module._forward_hooks.values()]
    assert not [one for one in hooks if one.__module__.startswith("liveedit")]


def test_what_it_needs_is_asked_for(backbone, monkeypatch) -> None:
    for wrong in ({"rank": 0}, {"adapter": "two"}, {"alpha": 0}, {"norm": 1.0}):
        with pytest.raises(ValidationError):
            LoraMethodConfig(**wrong)
    with monkeypatch.context() as patched:
        patched.setattr("liveedit.methods.lora.method.linear_path", lambda *_: None)
        with pytest.raises(MethodCannot, match="no query and value projections of their own"):
            Lora(backbone, LoraMethodConfig())
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtra, match=r"liveedit-vlm\[peft\]"):
        Lora.load(backbone)


def test_settings_to_tune_are_settings() -> None:
    for name, values in LoraMethodConfig.search_space.items():
        for value in values:
            assert getattr(LoraMethodConfig(**{name: value}), name) == value
