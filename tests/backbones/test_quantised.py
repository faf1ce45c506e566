"""Quantised models on a CPU: by torchao and by quanto, on loading, in memory and from a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForImageTextToText, QuantoConfig

from liveedit.backbones.quantisation import rows_of
from liveedit.backbones.registry import load_backbone
from liveedit.backbones.wrapping import wrap_backbone
from liveedit.data.cached_states import weights_digest
from liveedit.editor import EditedModel
from liveedit.errors import ModelChanged
from tests.backbones.adapted import adapted
from tests.backbones.families import EDIT_LAYER
from tests.editor.felt_editors import ASKED, PICTURE, felt_editor
from tests.editor.test_wrapping import TARGET, all_of, built, inputs_for, own_logits, same

EXACT = {"dtype": torch.float32}


def _torchao(model: Any, bits: int = 8) -> None:
    """In place, the output embeddings among them."""
    quantization = pytest.importorskip("torchao.quantization", reason="torchao is not installed")
    config = {
        8: quantization.Int8WeightOnlyConfig,
        88: quantization.Int8DynamicActivationInt8WeightConfig,
    }[bits]()
    quantization.quantize_(model, config)


def _torchao_dynamic(model: Any) -> None:
    _torchao(model, bits=88)


def _quanto(model: Any, weights: str = "qint8") -> None:
    quanto = pytest.importorskip("optimum.quanto", reason="optimum-quanto is not installed")
    quanto.quantize(model, weights=getattr(quanto, weights))
    quanto.freeze(model)


def _quanto_4_bits(model: Any) -> None:
    _quanto(model, "qint4")


IN_MEMORY = [_torchao, _torchao_dynamic, _quanto, _quanto_4_bits]


def _settings(library: str) -> Any:
    if library == "quanto":
        pytest.importorskip("optimum.quanto", reason="optimum-quanto is not installed")
        return QuantoConfig(weights="int8")
    quantization = pytest.importorskip("torchao.quantization", reason="torchao is not installed")
    from transformers import TorchAoConfig

    return TorchAoConfig(quantization.Int8WeightOnlyConfig())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny LLaVA as a folder."""
    folder = tmp_path_factory.mktemp("llava")
    model, processor = built("llava")
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("family", "quantise"),
    [("qwen2_5_vl", _torchao), *(("llava", quantise) for quantise in IN_MEMORY)],
)
def test_a_model_that_was_quantised_in_memory(quantise: Callable[[Any], None], family, tmp_path):
    model, processor = built(family)
    quantise(model)
    inputs = inputs_for(model, processor)
    before, seen = own_logits(model, inputs), all_of(model)
    backbone = wrap_backbone(model, processor, edit_layer=EDIT_LAYER)
    editor = felt_editor(backbone, tmp_path / "editor")
    assert backbone.precision == f"float32, {quantise.__name__.split('_')[1]}"
    backbone.close()
    with EditedModel.wrap(model, processor, editor=editor, edit_layer=EDIT_LAYER) as edited:
        assert edited.edit(PICTURE, ASKED[0], TARGET).reached
        assert edited.generate(PICTURE, ASKED[0]) == TARGET
        assert torch.equal(own_logits(model, inputs), before)
    assert same(all_of(model), seen)


@pytest.mark.parametrize("quantise", IN_MEMORY)
def test_rows_of_quantised_output_embeddings(quantise):
    model, _ = built("llava")
    exact = model.lm_head.weight.detach().clone()
    quantise(model)
    ids = torch.tensor([[5, 7, 7], [0, 300, 11]])
    rows = rows_of(model.lm_head.weight, ids)
    assert rows.shape == (2, 3, 64)
    torch.testing.assert_close(rows, exact[ids], atol=0.1, rtol=0.1)


@pytest.mark.parametrize("library", ["torchao", "quanto"])
def test_a_model_that_is_quantised_on_loading(library, folder, tmp_path):
    exact = load_backbone(folder, edit_layer=EDIT_LAYER, **EXACT)
    settings = _settings(library)
    backbone = load_backbone(folder, edit_layer=EDIT_LAYER, quantization_config=settings, **EXACT)
    assert backbone.fingerprint() == exact.fingerprint() | {"dtype": f"float32, {library}"}
    own = AutoModelForImageTextToText.from_pretrained(
        folder, quantization_config=_settings(library), **EXACT
    )
    assert wrap_backbone(own, exact.processor, edit_layer=EDIT_LAYER).fingerprint() == (
        backbone.fingerprint()
    )
    editor, store = felt_editor(exact, tmp_path / "editor"), tmp_path / "edits.db"
    how = {"editor": editor, "edit_layer": EDIT_LAYER, "quantization_config": settings, **EXACT}
    edited = EditedModel.from_pretrained(folder, store=store, **how)
    edited.edit(PICTURE, ASKED[0], TARGET)
    again = EditedModel.from_pretrained(folder, store=store, **how)
    assert again.generate(PICTURE, ASKED[0]) == TARGET
    assert len(weights_digest(backbone)) == 32
    assert weights_digest(backbone) != weights_digest(exact)


def test_a_folder_with_quantised_weights(folder, tmp_path):
    """torchao alone is written by ``save_pretrained``; of quanto transformers writes nothing."""
    quantised = load_backbone(folder, quantization_config=_settings("torchao"), **EXACT)
    quantised.model.save_pretrained(tmp_path)
    quantised.processor.save_pretrained(tmp_path)
    loaded = load_backbone(tmp_path, **EXACT)
    assert loaded.precision == "float32, torchao"
    assert loaded.revision != quantised.revision, "its files hold other numbers"
    query = quantised.query([PICTURE], ASKED[:1])
    assert torch.equal(loaded.logits(query), quantised.logits(query))
    own = AutoModelForImageTextToText.from_pretrained(tmp_path, **EXACT)
    assert wrap_backbone(own, loaded.processor).fingerprint() == loaded.fingerprint()


@pytest.mark.parametrize("quantise", [_torchao, _quanto])
def test_an_adapter_on_quantised_weights(quantise, tmp_path):
    model, processor = built("llava")
    quantise(model)
    owner = adapted(model)
    backbone = wrap_backbone(owner, processor, edit_layer=EDIT_LAYER)
    editor = felt_editor(backbone, tmp_path / "editor")
    assert backbone.adapter is not None
    with EditedModel.wrap(owner, processor, editor=editor, edit_layer=EDIT_LAYER) as edited:
        edited.edit(PICTURE, ASKED[0], TARGET)
        assert edited.generate(PICTURE, ASKED[0]) == TARGET
        with owner.disable_adapter(), pytest.raises(ModelChanged, match="no adapter"):
            edited.generate(PICTURE, ASKED[0])
