"""Adapters of PEFT: wrapped with the model, loaded from folders, and noticed when switched."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import IA3Config, LoraConfig, PeftModel, PromptTuningConfig, get_peft_model
from transformers import AutoModelForImageTextToText

from liveedit.backbones.registry import load_backbone
from liveedit.backbones.wrapping import wrap_backbone
from liveedit.editor import EditedModel
from liveedit.errors import BadCheckpoint, ModelChanged, StoreMismatch, UnknownFamily
from tests.backbones.adapted import adapted, adapter_folder, stir
from tests.backbones.families import EDIT_LAYER, FAMILIES
from tests.editor.felt_editors import ASKED, PICTURE, felt_editor
from tests.editor.test_wrapping import (
    SOME,
    TARGET,
    all_of,
    built,
    inputs_for,
    own_logits,
    same,
)

EXACT = {"dtype": torch.float32}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny LLaVA as a folder."""
    folder = tmp_path_factory.mktemp("base")
    model, processor = built("llava")
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def lora(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA for it."""
    return adapter_folder(built("llava")[0], base, tmp_path_factory.mktemp("lora"))


@pytest.fixture
def editor(base: Path, tmp_path: Path) -> Path:
    """An editor that was made for the base alone."""
    return felt_editor(load_backbone(base, edit_layer=EDIT_LAYER, **EXACT), tmp_path / "editor")


def wrapped(model: Any, processor: Any, folder: Path, **more: Any) -> EditedModel:
    with_editor = wrap_backbone(model, processor, edit_layer=EDIT_LAYER)
    editor = felt_editor(with_editor, folder)
    with_editor.close()
    return EditedModel.wrap(model, processor, editor=editor, edit_layer=EDIT_LAYER, **more)


@pytest.mark.parametrize("family", SOME)
def test_nothing_of_a_model_with_an_active_adapter_is_changed(family, tmp_path):
    model, processor = built(family)
    owner = adapted(model, family)
    inputs = inputs_for(owner, processor)
    before, seen = own_logits(owner, inputs), all_of(owner)
    with owner.disable_adapter():
        assert not torch.equal(own_logits(owner, inputs), before), "the adapter is not felt"
    with wrapped(owner, processor, tmp_path) as edited:
        assert edited.backbone.model is model
        assert edited.backbone.adapter.names == ("default",)
        assert torch.equal(own_logits(owner, inputs), before)
        assert torch.equal(own_logits(model, inputs), before)
        assert edited.edit(PICTURE, ASKED[0], TARGET).reached
        assert edited.generate(PICTURE, ASKED[0]) == TARGET
        assert torch.equal(own_logits(owner, inputs), before)
    assert same(all_of(owner), seen)
    assert torch.equal(own_logits(owner, inputs), before)


def test_an_adapter_that_is_switched_is_noticed(tmp_path):
    model, processor = built("llava")
    owner = adapted(model)
    owner.add_adapter("other", LoraConfig(r=4, target_modules=["q_proj", "up_proj"]))
    stir(owner, "other", seed=8)
    owner.set_adapter("default")
    edited = wrapped(owner, processor, tmp_path)
    edited.edit(PICTURE, ASKED[0], TARGET)

    def refused(message: str) -> None:
        with pytest.raises(ModelChanged, match=message):
            edited.generate(PICTURE, ASKED[0])
        with pytest.raises(ModelChanged, match=message):
            edited.edit(PICTURE, ASKED[1], TARGET)
        with pytest.raises(ModelChanged, match=message):
            edited.explain(PICTURE, ASKED[0])

    owner.set_adapter("other")
    refused("with the adapter 'default', and has the adapter 'other' in force now")
    with edited.disabled():
        edited.generate(PICTURE, ASKED[0], max_new_tokens=2)
    with owner.disable_adapter():
        refused("has no adapter in force now")
    owner.set_adapter("default")
    assert edited.generate(PICTURE, ASKED[0]) == TARGET, "as it was, and all is well"
    owner.merge_adapter()
    assert edited.generate(PICTURE, ASKED[0]) == TARGET, "merged, it is the same adapter"
    owner.unmerge_adapter()
    scale = model.get_decoder().layers[0].self_attn.q_proj.scaling
    scale["default"] *= 2
    refused("the adapter 'default'")
    scale["default"] /= 2
    stir(owner, "default", seed=9)
    refused("the adapter 'default'")
    stir(owner, "default")
    assert edited.generate(PICTURE, ASKED[0]) == TARGET
    owner.merge_and_unload()
    refused("has no adapter in force now")


def test_one_wrapper_for_each_adapter(tmp_path):
    model, processor = built("llava")
    owner = adapted(model)
    owner.add_adapter("other", LoraConfig(r=4, target_modules=["q_proj", "up_proj"]))
    stir(owner, "other", seed=8)
    said = {"default": TARGET, "other": "in Rome"}
    edited = {}
    for name, target in said.items():
        owner.set_adapter(name)
        edited[name] = wrapped(owner, processor, tmp_path / name)
        edited[name].edit(PICTURE, ASKED[0], target)
    for name in (*said, *reversed(said)):
        owner.set_adapter(name)
        assert edited[name].generate(PICTURE, ASKED[0]) == said[name]


def test_an_adapter_that_transformers_has_added(tmp_path):
    """``model.add_adapter``, without a model of PEFT around it."""
    model, processor = built("llava")
    model.add_adapter(LoraConfig(r=4, target_modules=["q_proj"]), adapter_name="mine")
    stir(model, "mine")
    model.eval()
    with wrapped(model, processor, tmp_path) as edited:
        assert edited.backbone.adapter.names == ("mine",)
        edited.edit(PICTURE, ASKED[0], TARGET)
        model.disable_adapters()
        with pytest.raises(ModelChanged, match="no adapter"):
            edited.generate(PICTURE, ASKED[0])
        model.enable_adapters()
        assert edited.generate(PICTURE, ASKED[0]) == TARGET


def test_an_adapter_that_is_added_later_is_noticed(editor, base):
    edited = EditedModel.from_pretrained(base, editor=editor, edit_layer=EDIT_LAYER, **EXACT)
    edited.edit(PICTURE, ASKED[0], TARGET)
    edited.backbone.model.add_adapter(LoraConfig(r=4, target_modules=["q_proj"]))
    assert edited.generate(PICTURE, ASKED[0]) == TARGET, "a fresh LoRA adds nothing but itself"


@pytest.mark.parametrize("settings", [{"modules_to_save": ["lm_head"]}, {"use_dora": True}])
def test_other_kinds_of_lora(settings, tmp_path):
    model, processor = built("llava")
    owner = adapted(model, **settings)
    with wrapped(owner, processor, tmp_path) as edited:
        edited.edit(PICTURE, ASKED[0], TARGET)
        assert edited.generate(PICTURE, ASKED[0]) == TARGET
        with owner.disable_adapter(), pytest.raises(ModelChanged):
            edited.generate(PICTURE, ASKED[0])


def test_ia3(tmp_path):
    model, processor = built("llava")
    places = IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"])
    owner = get_peft_model(model, places).eval()
    with torch.no_grad():
        for name, one in owner.named_parameters():
            if "ia3_l" in name:
                one.fill_(1.3)
    with wrapped(owner, processor, tmp_path) as edited:
        edited.edit(PICTURE, ASKED[0], TARGET)
        assert edited.generate(PICTURE, ASKED[0]) == TARGET
        with owner.disable_adapter(), pytest.raises(ModelChanged):
            edited.generate(PICTURE, ASKED[0])


def test_an_adapter_outside_of_the_layers_is_refused():
    model, processor = built("llava")
    config = PromptTuningConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=2, token_dim=64, num_layers=5,
        num_attention_heads=4, num_transformer_submodules=1,
    )  # fmt: skip
    with pytest.raises(BadCheckpoint, match="PROMPT_TUNING is not part of the model's layers"):
        EditedModel.wrap(PeftModel(model, config), processor)


@torch.no_grad()
@pytest.mark.parametrize("use", ["active", "merged"])
def test_a_folder_of_an_adapter(base, lora, editor, use, caplog):
    owner = PeftModel.from_pretrained(
        AutoModelForImageTextToText.from_pretrained(base, dtype=torch.float32), lora
    )
    edited = EditedModel.from_pretrained(
        lora, editor=editor, edit_layer=EDIT_LAYER, adapter=use, **EXACT
    )
    assert "no adapter" in caplog.text, "the editor was made for the base"
    query = edited.backbone.query([PICTURE], ASKED[:1])
    expected = owner(**query.model_inputs(), position_ids=query.position_ids).logits
    found = edited.backbone.logits(query)
    if use == "active":
        assert torch.equal(found, expected)
    torch.testing.assert_close(found, expected)
    assert not hasattr(edited.backbone.layer.mlp.up_proj, "lora_A") or use == "active"
    edited.edit(PICTURE, ASKED[0], TARGET)
    assert edited.generate(PICTURE, ASKED[0]) == TARGET


def test_the_same_adapter_is_the_same_however_it_came(base, lora):
    """In memory or loaded, beside the weights or merged, whatever it is called."""
    active, merged = (load_backbone(lora, adapter=use, **EXACT) for use in ("active", "merged"))
    owner = PeftModel.from_pretrained(
        AutoModelForImageTextToText.from_pretrained(base, dtype=torch.float32),
        lora,
        adapter_name="mine",
    )
    in_memory = wrap_backbone(owner, active.processor)
    plain = load_backbone(base, **EXACT)
    assert active.fingerprint() == merged.fingerprint() == in_memory.fingerprint()
    assert active.fingerprint() == plain.fingerprint() | {"adapter": active.adapter.digest}
    assert "adapter" not in plain.fingerprint()
    assert active.source == str(lora)


def test_a_store_of_the_base_is_not_that_of_the_adapter(base, lora, editor, tmp_path):
    how = {"editor": editor, "edit_layer": EDIT_LAYER, "store": tmp_path / "edits.db", **EXACT}
    EditedModel.from_pretrained(base, **how).edit(PICTURE, ASKED[0], TARGET)
    with pytest.raises(StoreMismatch, match="adapter: store None, here '"):
        EditedModel.from_pretrained(lora, **how)


def test_an_edited_model_with_an_adapter_is_saved(lora, editor, tmp_path):
    edited = EditedModel.from_pretrained(lora, editor=editor, edit_layer=EDIT_LAYER, **EXACT)
    edited.edit(PICTURE, ASKED[0], TARGET)
    again = EditedModel.from_pretrained(edited.save_pretrained(tmp_path / "edited"), **EXACT)
    assert again.backbone.adapter == edited.backbone.adapter
    assert again.generate(PICTURE, ASKED[0]) == TARGET
    with pytest.raises(BadCheckpoint, match="merge"):
        edited.save_pretrained(tmp_path / "whole", backbone=True)


def settings_of(folder: Path, **changed: Any) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


def test_a_base_that_is_missing(lora, base, tmp_path, monkeypatch):
    fresh = adapter_folder(built("llava")[0], "owner/gone", tmp_path / "lora")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BadCheckpoint, match=r"is for owner/gone, which is not .* base="):
        load_backbone(fresh)
    settings_of(fresh, base_model_name_or_path=None)
    with pytest.raises(BadCheckpoint, match="does not say which model"):
        load_backbone(fresh)
    assert load_backbone(fresh, base=base, **EXACT).fingerprint() == (
        load_backbone(lora, **EXACT).fingerprint()
    )
    settings_of(fresh, base_model_name_or_path="/no/such/folder")
    with pytest.raises(BadCheckpoint, match="/no/such/folder, which is not on this machine"):
        load_backbone(fresh)


def test_a_local_adapter_asks_no_network_for_its_base(tmp_path, monkeypatch):
    asked = []

    def snapshot_download(name: str, **options: Any) -> str:
        asked.append((name, options.get("local_files_only")))
        raise OSError("not in the cache")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    folder = adapter_folder(built("llava")[0], "owner/base", tmp_path / "lora")
    with pytest.raises(BadCheckpoint, match="owner/base"):
        load_backbone(folder)
    assert asked == [("owner/base", True)]


def test_an_adapter_of_the_hub_brings_its_base(base, lora, monkeypatch, tmp_path):
    """Both are asked for by name, as the adapter was."""
    folder = adapter_folder(built("llava")[0], "owner/base", tmp_path / "lora")
    asked = []

    def snapshot_download(name: str, **options: Any) -> str:
        asked.append((name, options.get("local_files_only", False)))
        return str({"owner/lora": folder, "owner/base": base}[name])

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    found = load_backbone("owner/lora", **EXACT)
    assert asked == [("owner/lora", False), ("owner/base", False)]
    assert found.source == "owner/lora"
    assert found.adapter == load_backbone(lora, **EXACT).adapter


def test_a_base_beside_its_adapter(base, tmp_path):
    folder = adapter_folder(built("llava")[0], "base", tmp_path / "lora")
    (folder / "base").symlink_to(base)
    assert load_backbone(folder, **EXACT).adapter is not None


def test_bad_folders(base, lora, tmp_path):
    model = built("llava")[0]
    folder = adapter_folder(model, base, tmp_path / "lora")
    weights = folder / "adapter_model.safetensors"
    kept = weights.read_bytes()
    weights.unlink()
    with pytest.raises(BadCheckpoint, match="has no weights, and adapter_model"):
        load_backbone(folder)
    (folder / "adapter_model.bin").write_bytes(b"a pickle")
    with pytest.raises(BadCheckpoint, match=r"has only adapter_model\.bin"):
        load_backbone(folder)
    weights.write_bytes(kept[:100])
    with pytest.raises(BadCheckpoint, match="save it again"):
        load_backbone(folder)
    weights.write_bytes(kept)
    settings_of(folder, r=8)
    with pytest.raises(BadCheckpoint, match=r"does not fit this model \(.*size mismatch"):
        load_backbone(folder)
    settings_of(folder, r=4, target_modules=["q_proj"])
    with pytest.raises(BadCheckpoint, match=r"does not fit this model .*tensors"):
        load_backbone(folder)
    settings_of(folder, target_modules=["nothing_like_it"])
    with pytest.raises(BadCheckpoint, match="does not fit this model"):
        load_backbone(folder)
    settings_of(folder, peft_type="SOMETHING_NEW")
    with pytest.raises(BadCheckpoint, match="peft cannot read"):
        load_backbone(folder)
    (folder / "adapter_config.json").write_text("[]")
    with pytest.raises(BadCheckpoint, match="cannot be read"):
        load_backbone(folder)


def test_an_adapter_of_a_text_only_model(tmp_path):
    from tests.editor.test_wrapping import _text_model

    text = _text_model()
    text.save_pretrained(tmp_path / "text")
    folder = adapter_folder(text, tmp_path / "text", tmp_path / "lora", target_modules=["q_proj"])
    with pytest.raises(UnknownFamily, match="'llama'"):
        load_backbone(folder)
    model, processor = built("llava")
    model.save_pretrained(tmp_path / "vlm")
    processor.save_pretrained(tmp_path / "vlm")
    with pytest.raises(BadCheckpoint, match="does not fit this model"):
        load_backbone(folder, base=tmp_path / "vlm")


def test_an_adapter_on_an_adapter(lora, tmp_path):
    folder = adapter_folder(built("llava")[0], lora, tmp_path / "second")
    with pytest.raises(BadCheckpoint, match="is itself an adapter"):
        load_backbone(folder)


@pytest.mark.parametrize("family", [one for one in FAMILIES if one not in ("llava",)])
def test_folders_of_every_family(family, tmp_path):
    model, processor = built(family)
    model.save_pretrained(tmp_path / "base")
    processor.save_pretrained(tmp_path / "base")
    folder = tmp_path / "lora"
    owner = adapted(model, family)
    owner.peft_config["default"].base_model_name_or_path = str(tmp_path / "base")
    owner.save_pretrained(folder, save_embedding_layers=False)
    query = load_backbone(tmp_path / "base", **EXACT).query([PICTURE], ASKED[:1])
    loaded = load_backbone(folder, **EXACT)
    torch.testing.assert_close(loaded.logits(query), wrap_backbone(owner, processor).logits(query))
    assert loaded.adapter == wrap_backbone(owner, processor).adapter


def test_nothing_is_said_where_nothing_differs(base, editor, caplog):
    with caplog.at_level(logging.WARNING):
        EditedModel.from_pretrained(base, editor=editor, edit_layer=EDIT_LAYER, **EXACT)
    assert "adapter" not in caplog.text
