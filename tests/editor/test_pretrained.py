import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from liveedit.correction import Correction
from liveedit.editor import EditedModel
from liveedit.editor.pretrained import SOURCE_FILE
from liveedit.errors import BackboneMismatch, BadCheckpoint
from liveedit.methods.liveedit.config import EditorConfig, LiveEditConfig
from liveedit.methods.liveedit.method import LiveEdit
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.methods.liveedit.representation import measure_scale
from liveedit.store.saved_edits import EDITS_FILE, TENSORS_FILE, load_edits, save_edits
from tests.backbones.families import tiny

ASKED = ["What is this?", "Where is it?", "Who is it?"]


@pytest.fixture
def model(pictures: list[Image.Image]) -> EditedModel:
    """A superseded edit, one that supersedes it, a text-only one of another set, a revoked one."""
    torch.manual_seed(1)
    backbone = tiny("llava")
    network = EditorNetwork(EditorConfig(width=16, heads=2, rank=4, dropout=0.0), backbone.width)
    query = backbone.query(pictures, ASKED)
    network.set_scale(measure_scale(backbone.states(query)[query.attention_mask.bool()]))
    network.router.margin.fill_(-100)
    network.router.prompt_bias.data.fill_(5)
    network.router.text_bias.data.fill_(5)
    network.generator.v_gain.data.fill_(20)
    model = EditedModel(LiveEdit(backbone, network))
    model.edit(pictures[0], ASKED[0], "a red dog")
    model.edit(pictures[0], ASKED[0], "in Rome")
    model.edit_many(
        [Correction(image=None, prompt=ASKED[2], target="yes")], namespaces=["elsewhere"]
    )
    model.revoke(model.edit(pictures[1], ASKED[1], "made").id)
    return model


@pytest.fixture
def saved(model: EditedModel, tmp_path: Path) -> Path:
    return model.save_pretrained(tmp_path / "edited", backbone=True)


def test_edits_come_back_with_what_they_supersede(model, saved, pictures):
    loaded = EditedModel.from_pretrained(saved, dtype=torch.float32)
    assert loaded.edits == model.edits
    first, second, told = (edit for edit in map(loaded.store.get, loaded.store.pool().ids))
    assert (first.target, second.target, told.target) == ("a red dog", "in Rome", "yes")
    assert second.supersedes == (first.id,)
    assert first not in loaded.edits
    assert loaded.generate(pictures[0], ASKED[0]) == "in Rome"
    assert loaded.generate(None, ASKED[2]) != "yes"
    with loaded.namespace("elsewhere"):
        assert loaded.generate(None, ASKED[2]) == "yes"
    loaded.revoke(second.id)
    assert loaded.generate(pictures[0], ASKED[0]) == "a red dog"


def test_settings_come_back_unless_others_are_given(model, tmp_path):
    chosen = LiveEditConfig(supersede="never", refine_broad=2)
    edited = EditedModel(LiveEdit(model.backbone, model.method.network, chosen))
    folder = edited.save_pretrained(tmp_path / "set", backbone=True)
    loaded = EditedModel.from_pretrained(folder, dtype=torch.float32)
    assert loaded.method.config == edited.method.config
    elsewhere = EditedModel.from_pretrained(folder / "backbone", editor=folder, edit_layer=3)
    assert elsewhere.method.config == edited.method.config
    own = loaded.backbone
    with EditedModel.wrap(own.model, own.processor, editor=folder) as wrapped:
        assert wrapped.method.config == edited.method.config
    other = EditedModel.from_pretrained(folder, config=LiveEditConfig(), dtype=torch.float32)
    assert other.method.config.refine_broad != 2


def test_a_folder_that_names_no_settings_or_others_than_there_are(saved):
    source = json.loads((saved / SOURCE_FILE).read_text())
    settings = source.pop("settings")
    (saved / SOURCE_FILE).write_text(json.dumps(source))  # as before settings were saved
    loaded = EditedModel.from_pretrained(saved, dtype=torch.float32)
    assert loaded.method.config.model_dump() == settings
    (saved / SOURCE_FILE).write_text(json.dumps(source | {"settings": {"refine_brod": 2}}))
    with pytest.raises(BadCheckpoint, match=r"does not take \(refine_brod: .*give others, as"):
        EditedModel.from_pretrained(saved, dtype=torch.float32)


def test_saving_again_changes_nothing(model, saved, tmp_path):
    again = EditedModel.from_pretrained(saved, dtype=torch.float32).save_pretrained(
        tmp_path / "again"
    )
    for name in (EDITS_FILE, TENSORS_FILE, "editor.safetensors"):
        assert (again / name).read_bytes() == (saved / name).read_bytes()
    assert json.loads((again / SOURCE_FILE).read_text())["model"] == str(saved / "backbone")
    assert EditedModel.from_pretrained(again, dtype=torch.float32).edits == model.edits


def test_an_edit_that_supersedes_a_revoked_one(model, tmp_path):
    first, second = (model.store.get(name) for name in model.store.pool().ids[:2])
    model.store.revoke(first.id)
    save_edits(model.store, tmp_path, model.method.layout)
    fresh = EditedModel(LiveEdit(model.backbone, model.method.network))
    load_edits(tmp_path, fresh.store, fresh.method.layout)
    assert fresh.store.get(second.id) == replace(second, supersedes=())


def test_no_edits(tmp_path):
    torch.manual_seed(0)
    model = EditedModel(LiveEdit(tiny("llava"), EditorNetwork(EditorConfig(width=16, heads=2), 64)))
    model.save_pretrained(tmp_path, backbone=True)
    assert EditedModel.from_pretrained(tmp_path, dtype=torch.float32).edits == ()


def test_another_backbone_is_refused(saved, tmp_path):
    other = tiny("llava_next")
    other.model.save_pretrained(tmp_path / "other")
    other.processor.save_pretrained(tmp_path / "other")
    with pytest.raises(BackboneMismatch, match="family: checkpoint 'llava', model 'llava_next'"):
        EditedModel.from_pretrained(tmp_path / "other", editor=saved, dtype=torch.float32)


def test_the_same_backbone_elsewhere_is_the_same(model, saved, tmp_path):
    shutil.copytree(saved / "backbone", tmp_path / "moved")
    moved = EditedModel.from_pretrained(tmp_path / "moved", editor=saved, edit_layer=3)
    assert moved.edits == model.edits


@pytest.mark.parametrize("damage", ["flipped", "other", "format", "missing", "source"])
def test_damage_is_refused(saved, damage):
    experts, described = saved / TENSORS_FILE, saved / EDITS_FILE
    if damage == "flipped":
        data = bytearray(experts.read_bytes())
        data[-5] ^= 1
        experts.write_bytes(data)
    elif damage == "missing":
        experts.unlink()
    elif damage == "source":
        (saved / SOURCE_FILE).write_text("{}")
    else:
        change = {"format": 99} if damage == "format" else {"edits": [{"prompt": "x"}]}
        described.write_text(json.dumps(json.loads(described.read_text()) | change))
    with pytest.raises(BadCheckpoint):
        EditedModel.from_pretrained(saved, dtype=torch.float32)


def test_pushing_sends_what_saving_writes(model, tmp_path, monkeypatch):
    """Up to the two calls that need the network."""
    sent: dict[str, object] = {}

    def create_repo(_api: object, repo_id: str, **options: object) -> None:
        sent["made"] = (repo_id, options)

    def upload_folder(_api: object, *, repo_id: str, folder_path: str, **options: object) -> str:
        shutil.copytree(folder_path, tmp_path / "hub")
        return f"commit to {repo_id} {options}"

    monkeypatch.setattr("huggingface_hub.HfApi.create_repo", create_repo)
    monkeypatch.setattr("huggingface_hub.HfApi.upload_folder", upload_folder)
    said = model.push_to_hub("me/edited", backbone=True, revision="new")
    assert said == "commit to me/edited {'revision': 'new'}"
    assert sent["made"] == ("me/edited", {"private": True, "exist_ok": True})
    assert EditedModel.from_pretrained(tmp_path / "hub", dtype=torch.float32).edits == model.edits
