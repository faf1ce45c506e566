import logging
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from liveedit.errors import BackboneMismatch
from liveedit.methods.liveedit.checkpoint import load_editor
from liveedit.pocket.source import shipped_editor
from liveedit.saving.fingerprint import (
    check_fingerprint,
    config_digest,
    other_numbers,
    weights_revision,
)
from tests.backbones.families import tiny

ONE: dict[str, object] = {
    "family": "llava", "backbone": "a", "width": 16, "edit_layer": 3, "config": "c",
    "weights": "w", "dtype": "bfloat16", "processor": "pil",
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [{"family": "blip-2"}, {"width": 8}, {"edit_layer": 4}, {"config": "d"}, {"weights": "v"}],
)
def test_what_makes_another_model_is_refused_and_named(change):
    (name,) = change
    with pytest.raises(BackboneMismatch, match=f"{name}: checkpoint"):
        check_fingerprint(ONE, ONE | change)


@pytest.mark.parametrize("change", [{"dtype": "float32"}, {"processor": "torchvision"}])
def test_what_changes_the_numbers_a_little_is_told(change, caplog):
    with caplog.at_level(logging.WARNING):
        check_fingerprint(ONE, ONE | change)
    (value,) = change.values()
    assert str(value) in caplog.text


def test_the_same_and_what_one_side_does_not_know_is_no_difference(caplog):
    check_fingerprint(ONE, ONE)
    check_fingerprint(ONE, {"family": "llava", "weights": None, "layers": 5})
    check_fingerprint({"family": "llava", "edit_layer": 3}, ONE)
    assert not caplog.text


def test_a_name_counts_only_where_the_weights_are_not_known():
    check_fingerprint(ONE, ONE | {"backbone": "b"})
    with pytest.raises(BackboneMismatch, match="backbone: checkpoint 'a', model 'b'"):
        check_fingerprint(ONE | {"weights": None}, ONE | {"backbone": "b"})


def test_the_shipped_editor_loads_for_the_pocket_vlm_and_no_other(pocket_folder):
    pocket: dict[str, object] = {
        "family": "llava", "backbone": pocket_folder.name, "width": 576, "layers": 30,
        "edit_layer": 20, "vocabulary": 49152, "config": "any", "weights": "any",
        "dtype": "float32", "processor": "pil",
    }  # fmt: skip
    assert load_editor(shipped_editor(), pocket).state_width == 576
    with pytest.raises(BackboneMismatch, match="pocket-other"):
        load_editor(shipped_editor(), pocket | {"backbone": "pocket-other"})


def test_weights_that_were_trained_on_have_another_revision(tmp_path: Path):
    assert weights_revision(tmp_path) is None
    tensors = {name: torch.randn(64, 300) for name in "ab"}
    save_file(tensors, tmp_path / "model.safetensors")
    first = weights_revision(tmp_path)
    assert first == weights_revision(tmp_path)
    save_file(
        {name: value + 1e-3 for name, value in tensors.items()}, tmp_path / "model.safetensors"
    )
    assert weights_revision(tmp_path) != first


def test_the_configuration_counts_and_its_precision_does_not():
    config = tiny("llava").model.config
    other = type(config).from_dict(config.to_dict())
    other.dtype = torch.bfloat16
    assert config_digest(other) == config_digest(config)
    other.vision_feature_layer = -1
    assert config_digest(other) != config_digest(config)


def test_precision_and_processor_alone_are_other_numbers_of_the_same_model():
    one = {"weights": "abc", "dtype": "float32", "processor": "pil"}
    assert other_numbers(one, one) == ()
    assert other_numbers(one, one | {"dtype": "float32, quanto"}) == ("dtype",)
    assert other_numbers(one, one | {"dtype": "float16", "processor": "torchvision"}) == (
        "dtype", "processor",
    )  # fmt: skip
    for change in ({"weights": "abd"}, {"adapter": "12ab"}, {"dtype": "float16", "layers": 3}):
        assert other_numbers(one, one | change) == ()
