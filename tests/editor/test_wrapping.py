"""Models in memory: edited while they are wrapped, and as they were before, meanwhile and after."""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForImageTextToText, PreTrainedModel, ProcessorMixin

from liveedit.backbones.registry import load_backbone
from liveedit.backbones.wrapping import wrap_backbone
from liveedit.editor import EditedModel
from liveedit.errors import (
    BackboneMismatch,
    BadCheckpoint,
    ModelChanged,
    ModelClosed,
    StoreMismatch,
    UnknownFamily,
)
from tests.backbones.families import EDIT_LAYER, FAMILIES, shaken
from tests.editor.felt_editors import ASKED, PICTURE, felt_editor

SOME = ["llava", "qwen2_5_vl", "gemma3", "blip-2", "smolvlm", "internvl"]
TARGET = "a red dog"
LENGTH = {"max_new_tokens": 6, "do_sample": False}


def built(family: str, seed: int = 0) -> tuple[PreTrainedModel, ProcessorMixin]:
    """A tiny model of a caller's own, as it comes from training: everything wants gradients."""
    torch.manual_seed(seed)
    model, processor = FAMILIES[family].build()
    return shaken(model).requires_grad_(True).eval(), processor


@pytest.fixture
def editor_for(tmp_path: Path) -> Callable[[Any, ProcessorMixin], Path]:
    def write(model: Any, processor: ProcessorMixin) -> Path:
        backbone = wrap_backbone(model, processor, edit_layer=EDIT_LAYER)
        folder = felt_editor(backbone, tmp_path / f"editor-{id(model)}")
        backbone.close()
        return folder

    return write


def inputs_for(model: Any, processor: ProcessorMixin) -> dict[str, Any]:
    """What a caller passes: ids and pixels, made without anything of liveedit's staying behind."""
    backbone = wrap_backbone(model, processor)
    query = backbone.query([PICTURE], ASKED[:1])
    inputs = dict(query.model_inputs())
    backbone.close()
    features = inputs.pop("mm_encoder_outputs")
    return inputs | {"mm_encoder_outputs": features}


@torch.no_grad()
def own_logits(model: Any, inputs: dict[str, Any]) -> Tensor:
    more = {"pixel_values": None} if model.config.model_type == "blip-2" else {}
    return model(**copy.deepcopy(inputs), **more).logits


def all_of(model: nn.Module) -> dict[tuple[str, str], object]:
    """Attributes, hooks, flags and tensors of all modules."""
    found: dict[tuple[str, str], object] = {}
    for name, module in model.named_modules():
        for key, value in vars(module).items():
            if key in ("_parameters", "_buffers", "_modules"):
                value = {k: id(v) for k, v in value.items()}
            found[name, key] = dict(value) if isinstance(value, dict) else value
    for name, value in model.named_parameters():
        found[name, "kind"] = (value.dtype, value.requires_grad, value.grad, value._version)
    return found


def same(one: dict[tuple[str, str], object], other: dict[tuple[str, str], object]) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(value, other[key])
        if isinstance(value, Tensor)
        else value is other[key] or value == other[key]
        for key, value in one.items()
    )


@pytest.mark.parametrize("family", list(FAMILIES))
def test_nothing_of_a_model_is_changed(family, editor_for):
    model, processor = built(family)
    editor = editor_for(model, processor)
    inputs = inputs_for(model, processor)
    before = own_logits(model, inputs)
    settings = model.config.to_dict(), model.generation_config.to_dict()
    seen, memory = all_of(model), {name: id(one) for name, one in model.named_parameters()}

    with EditedModel.wrap(model, processor, editor=editor, edit_layer=EDIT_LAYER) as edited:
        assert edited.backbone.model is model
        assert torch.equal(own_logits(model, inputs), before)
        assert edited.edit(PICTURE, ASKED[0], TARGET).reached
        assert edited.generate(PICTURE, ASKED[0]) == TARGET
        with edited.disabled():
            assert edited.generate(PICTURE, ASKED[0], max_new_tokens=6) != TARGET
        assert torch.equal(own_logits(model, inputs), before)

    assert same(all_of(model), seen)
    assert (model.config.to_dict(), model.generation_config.to_dict()) == settings
    assert {name: id(one) for name, one in model.named_parameters()} == memory
    assert torch.equal(own_logits(model, inputs), before)


@pytest.mark.parametrize("family", [one for one in SOME if one != "blip-2"])
def test_the_callers_own_generate_is_unedited(family, editor_for):
    model, processor = built(family)
    editor = editor_for(model, processor)
    inputs = inputs_for(model, processor)
    before = model.generate(**copy.deepcopy(inputs), **LENGTH)
    with EditedModel.wrap(model, processor, editor=editor, edit_layer=EDIT_LAYER) as edited:
        assert torch.equal(model.generate(**copy.deepcopy(inputs), **LENGTH), before)
        edited.edit(PICTURE, ASKED[0], TARGET)
        assert torch.equal(model.generate(**copy.deepcopy(inputs), **LENGTH), before)
        assert edited.generate(PICTURE, ASKED[0]) == TARGET
    assert torch.equal(model.generate(**copy.deepcopy(inputs), **LENGTH), before)


def test_it_goes_with_its_last_reference(editor_for):
    model, processor = built("llava")
    editor = editor_for(model, processor)
    model.model.language_model.train()
    seen = all_of(model)
    edited = EditedModel.wrap(model, processor, editor=editor, edit_layer=EDIT_LAYER)
    edited.edit(PICTURE, ASKED[0], TARGET)
    assert not model.model.language_model.training
    gone = weakref.ref(edited)
    gc.disable()
    try:
        del edited
        assert gone() is None, "something holds it in a circle"
        assert all_of(model).keys() == seen.keys()
        assert model.model.language_model.layers[0].training
        assert not model.model.vision_tower.training
        assert not model.get_decoder().layers[EDIT_LAYER]._forward_hooks
    finally:
        gc.enable()


def test_two_models_side_by_side(editor_for):
    (one, processor), (other, others) = built("llava"), built("llava", seed=5)
    with (
        EditedModel.wrap(
            one, processor, editor=editor_for(one, processor), edit_layer=EDIT_LAYER
        ) as first,
        EditedModel.wrap(
            other, others, editor=editor_for(other, others), edit_layer=EDIT_LAYER
        ) as second,
    ):
        plain = second.generate(PICTURE, ASKED[0], max_new_tokens=6)
        first.edit(PICTURE, ASKED[0], TARGET)
        assert second.generate(PICTURE, ASKED[0], max_new_tokens=6) == plain
        second.edit(PICTURE, ASKED[0], "in Rome")
        assert first.generate(PICTURE, ASKED[0]) == TARGET
        assert second.generate(PICTURE, ASKED[0]) == "in Rome"


def test_two_wrappers_of_one_model(editor_for):
    """Whoever goes first, the other goes on; modules in training mode are put back by the last."""
    model, processor = built("llava")
    editor = editor_for(model, processor)
    model.train()
    first, second = (
        EditedModel.wrap(model, processor, editor=editor, edit_layer=EDIT_LAYER) for _ in range(2)
    )
    first.edit(PICTURE, ASKED[0], TARGET)
    second.edit(PICTURE, ASKED[0], "in Rome")
    assert first.generate(PICTURE, ASKED[0]) == TARGET
    first.close()
    assert not model.training
    assert second.generate(PICTURE, ASKED[0]) == "in Rome"
    second.close()
    assert all(module.training for module in model.modules())
    assert not model.get_decoder().layers[EDIT_LAYER]._forward_hooks


def test_what_was_closed_says_so(editor_for):
    model, processor = built("llava")
    edited = EditedModel.wrap(
        model, processor, editor=editor_for(model, processor), edit_layer=EDIT_LAYER
    )
    edited.edit(PICTURE, ASKED[0], TARGET)
    edited.close()
    edited.close()
    for call in (
        lambda: edited.generate(PICTURE, ASKED[0]),
        lambda: edited.edit(PICTURE, ASKED[1], TARGET),
        lambda: edited.explain(PICTURE, ASKED[0]),
        lambda: edited.chat([{"role": "user", "content": "Who?"}]),
    ):
        with pytest.raises(ModelClosed, match="wrap or load"):
            call()
    assert [edit.target for edit in edited.edits] == [TARGET], "the store is the caller's"


def test_training_mode_with_dropout_and_checkpointing(editor_for, caplog):
    """It is put aside while the model is wrapped, and is back afterwards; training goes on."""
    model, processor = built("llava")
    for layer in model.get_decoder().layers:
        layer.self_attn.attention_dropout = 0.5
    editor = editor_for(model, processor)
    inputs = inputs_for(model, processor)
    before = own_logits(model, inputs)
    model.train()
    model.gradient_checkpointing_enable()
    model.enable_input_require_grads()
    model.config.use_cache = False
    with EditedModel.wrap(model, processor, editor=editor, edit_layer=EDIT_LAYER) as edited:
        assert "training mode" in caplog.text
        assert torch.equal(own_logits(model, inputs), before)
        edited.edit(PICTURE, ASKED[0], TARGET)
        assert edited.generate(PICTURE, ASKED[0]) == TARGET
        assert all(one.grad is None for one in model.parameters())
        model.train()
        with pytest.raises(ModelChanged, match=r"model\.eval\(\)"):
            edited.generate(PICTURE, ASKED[0])
        with edited.disabled():
            edited.generate(PICTURE, ASKED[0], max_new_tokens=2)
        model.eval()
        assert edited.generate(PICTURE, ASKED[0]) == TARGET
    assert all(module.training for module in model.modules())
    model(**inputs).logits.sum().backward()
    assert any(one.grad is not None for one in model.parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype, editor_for):
    model, processor = built("llava")
    model.to(dtype)
    editor = editor_for(model, processor)
    inputs = inputs_for(model, processor)
    before = own_logits(model, inputs)
    with EditedModel.wrap(model, processor, editor=editor, edit_layer=EDIT_LAYER) as edited:
        edited.edit(PICTURE, ASKED[0], TARGET)
        assert edited.generate(PICTURE, ASKED[0]) == TARGET
        assert torch.equal(own_logits(model, inputs), before)
    assert {one.dtype for one in model.parameters()} == {dtype}


@pytest.mark.parametrize(
    ("family", "dtype"),
    [(family, torch.float32) for family in FAMILIES]
    + [("llava", torch.bfloat16), ("qwen2_vl", torch.float16)],
)
def test_a_model_of_a_folder_is_known_as_that_folder(family, dtype, tmp_path):
    """Whatever was made for the folder fits the model that its owner has loaded from there."""
    model, processor = built(family)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    own = AutoModelForImageTextToText.from_pretrained(tmp_path, dtype=dtype)
    wrapped, loaded = wrap_backbone(own, processor), load_backbone(tmp_path, dtype=dtype)
    assert wrapped.fingerprint() == loaded.fingerprint()
    assert (wrapped.name, wrapped.source) == (loaded.name, loaded.source)


def test_a_model_that_was_trained_on_is_another(tmp_path, editor_for):
    model, processor = built("llava")
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    own = AutoModelForImageTextToText.from_pretrained(tmp_path, dtype=torch.float32)
    editor, store = editor_for(own, processor), tmp_path / "edits.db"
    with EditedModel.wrap(
        own, processor, editor=editor, edit_layer=EDIT_LAYER, store=store
    ) as edited:
        edited.edit(PICTURE, ASKED[0], TARGET)
        folder = wrap_backbone(own, processor).revision
        step = torch.optim.SGD(own.parameters(), lr=0.1)
        own(**inputs_for(own, processor)).logits.sum().backward()
        step.step()
        with pytest.raises(ModelChanged, match="weights were changed"):
            edited.generate(PICTURE, ASKED[0])
        with pytest.raises(ModelChanged, match="weights were changed"):
            edited.edit(PICTURE, ASKED[1], TARGET)
    assert wrap_backbone(own, processor).revision not in (None, folder)
    with pytest.raises(BackboneMismatch, match="weights"):
        EditedModel.wrap(own, processor, editor=editor, edit_layer=EDIT_LAYER)
    assert not own.get_decoder().layers[EDIT_LAYER]._forward_hooks, "refused, and left alone"
    with pytest.raises(StoreMismatch, match="weights"):
        EditedModel.wrap(
            own, processor, editor=editor_for(own, processor), edit_layer=EDIT_LAYER, store=store
        )


def test_edits_are_saved_and_taken_up_again(tmp_path, editor_for):
    model, processor = built("llava")
    editor = editor_for(model, processor)
    with EditedModel.wrap(model, processor, editor=editor, edit_layer=EDIT_LAYER) as edited:
        edited.edit(PICTURE, ASKED[0], TARGET)
        edited.save_pretrained(tmp_path / "edited")
    with EditedModel.wrap(
        model, processor, editor=tmp_path / "edited", edit_layer=EDIT_LAYER
    ) as again:
        assert again.generate(PICTURE, ASKED[0]) == TARGET


def test_a_compiled_model_is_taken_as_it_was(editor_for):
    model, processor = built("llava")
    editor = editor_for(model, processor)
    compiled = torch.compile(model, backend="eager")
    with EditedModel.wrap(compiled, processor, editor=editor, edit_layer=EDIT_LAYER) as edited:
        assert edited.backbone.model is model
        edited.edit(PICTURE, ASKED[0], TARGET)
        assert edited.generate(PICTURE, ASKED[0]) == TARGET


def test_a_spread_model(tmp_path, editor_for):
    model, processor = built("llava")
    model.save_pretrained(tmp_path)
    own = AutoModelForImageTextToText.from_pretrained(
        tmp_path, dtype=torch.float32, device_map="auto"
    )
    editor = editor_for(own, processor)
    with EditedModel.wrap(own, processor, editor=editor, edit_layer=EDIT_LAYER) as edited:
        edited.edit(PICTURE, ASKED[0], TARGET)
        assert edited.generate(PICTURE, ASKED[0]) == TARGET


def test_bad_input():
    model, processor = built("llava")
    with pytest.raises(BadCheckpoint, match="no processor was given"):
        EditedModel.wrap(model, None)
    with pytest.raises(BadCheckpoint, match="AutoProcessor"):
        EditedModel.wrap(model, processor.tokenizer)
    with pytest.raises(BadCheckpoint, match="from_pretrained"):
        EditedModel.wrap("some/folder", processor)
    with pytest.raises(BadCheckpoint, match="Linear is no model"):
        EditedModel.wrap(nn.Linear(2, 2), processor)
    with pytest.raises(UnknownFamily, match="'llama'"):
        EditedModel.wrap(_text_model(), processor)
    with pytest.raises(BadCheckpoint, match="there is no editor"):
        EditedModel.wrap(model, processor)
    with pytest.raises(ValueError, match="no decoder layer 99"):
        EditedModel.wrap(model, processor, edit_layer=99)
    assert not any(layer._forward_hooks for layer in model.get_decoder().layers)


def _text_model() -> PreTrainedModel:
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "vocab_size": 50}
    return LlamaForCausalLM(LlamaConfig(num_attention_heads=2, **sizes))
