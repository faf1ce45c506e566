import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from liveedit.errors import BackboneMismatch, BadCheckpoint
from liveedit.methods.liveedit.checkpoint import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    editor_digest,
    load_editor,
    save_editor,
)
from liveedit.methods.liveedit.config import EditorConfig
from liveedit.methods.liveedit.network import EditorNetwork

FINGERPRINT: dict[str, object] = {"family": "llava", "width": 16, "edit_layer": 3}


@pytest.fixture
def saved(tmp_path: Path) -> tuple[EditorNetwork, Path]:
    torch.manual_seed(0)
    network = EditorNetwork(EditorConfig(width=8, heads=2, rank=2), 16)
    save_editor(network, FINGERPRINT, tmp_path / "editor")
    return network, tmp_path / "editor"


def test_what_is_saved_is_loaded(saved: tuple[EditorNetwork, Path]) -> None:
    network, folder = saved
    loaded = load_editor(folder, FINGERPRINT)
    for name, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)
    assert not loaded.training


def test_another_layer_is_refused_and_named(saved: tuple[EditorNetwork, Path]) -> None:
    with pytest.raises(BackboneMismatch, match="edit_layer: checkpoint 3, model 4"):
        load_editor(saved[1], FINGERPRINT | {"edit_layer": 4})


def test_a_folder_without_editor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint, match="liveedit train"):
        load_editor(tmp_path, FINGERPRINT)


def test_damage_is_refused(saved: tuple[EditorNetwork, Path]) -> None:
    folder = saved[1]
    weights = (folder / WEIGHTS_FILE).read_bytes()
    (folder / WEIGHTS_FILE).write_bytes(weights[:-10])
    with pytest.raises(BadCheckpoint):
        load_editor(folder, FINGERPRINT)


def test_not_a_number_is_refused(saved: tuple[EditorNetwork, Path]) -> None:
    tensors = load_file(saved[1] / WEIGHTS_FILE)
    next(iter(tensors.values())).view(-1)[0] = torch.nan
    save_file(tensors, saved[1] / WEIGHTS_FILE)
    with pytest.raises(BadCheckpoint, match="NaN"):
        load_editor(saved[1], FINGERPRINT)


@pytest.mark.parametrize("change", ["missing", "extra", "shape"])
def test_other_tensors_are_refused(saved: tuple[EditorNetwork, Path], change: str) -> None:
    tensors = load_file(saved[1] / WEIGHTS_FILE)
    name = "generator.u_slots"
    if change == "missing":
        del tensors[name]
    elif change == "extra":
        tensors["more"] = torch.zeros(1)
    else:
        tensors[name] = tensors[name][:1].clone()
    save_file(tensors, saved[1] / WEIGHTS_FILE)
    with pytest.raises(BadCheckpoint, match="do not fit"):
        load_editor(saved[1], FINGERPRINT)


@pytest.mark.parametrize("change", [{"format": 2}, {"editor": {"widht": 8}}])
def test_other_settings_are_refused(saved: tuple[EditorNetwork, Path], change: dict) -> None:
    path = saved[1] / CONFIG_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BadCheckpoint):
        load_editor(saved[1], FINGERPRINT)


def test_a_calibrated_editor_is_a_checkpoint_like_any_other_and_says_so(tmp_path: Path) -> None:
    config = EditorConfig(calibrated=True, width=4, vectors=1, rank=0, text_router=False)
    network = EditorNetwork(config, 16)
    assert not list(network.extractor.parameters())
    assert not list(network.generator.parameters())
    torch.manual_seed(0)
    for buffer in (*network.extractor.buffers(), *network.generator.buffers()):
        buffer.normal_()
    save_editor(network, FINGERPRINT, tmp_path)
    loaded = load_editor(tmp_path, FINGERPRINT)
    assert loaded.config.calibrated
    assert json.loads((tmp_path / CONFIG_FILE).read_text())["editor"]["calibrated"] is True
    assert editor_digest(loaded) == editor_digest(network)
    for name, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)


def test_files_of_trained_editors_do_not_mention_calibration(saved) -> None:
    assert "calibrated" not in (saved[1] / CONFIG_FILE).read_text()


def test_a_sentence_encoder_is_a_switch_of_the_editor_and_its_edits_stay_valid(
    saved: tuple[EditorNetwork, Path], tmp_path: Path
) -> None:
    network, folder = saved
    off = editor_digest(network)
    assert "sentence_encoder" not in json.loads((folder / CONFIG_FILE).read_text())["editor"]
    assert not load_editor(folder, FINGERPRINT).config.sentence_encoder
    network.config = network.config.model_copy(update={"sentence_encoder": True})
    save_editor(network, FINGERPRINT, tmp_path / "words")
    loaded = load_editor(tmp_path / "words", FINGERPRINT)
    assert loaded.config.sentence_encoder
    assert editor_digest(loaded) == off
