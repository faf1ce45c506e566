from pathlib import Path

import pytest
import torch
from accelerate import cpu_offload
from transformers import QuantoConfig

from liveedit.backbones.registry import backbone_class, families, load_backbone
from liveedit.editor import EditedModel
from liveedit.errors import BadCheckpoint, UnknownFamily
from liveedit.methods.liveedit.config import EditorConfig
from liveedit.methods.liveedit.method import LiveEdit
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.methods.liveedit.representation import measure_scale
from tests.backbones.families import FAMILIES, tiny

PLUGIN = """
from liveedit.backbones.llava import LlavaBackbone


class Painted(LlavaBackbone):
    family = "painted_llava"
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen2-VL as a folder."""
    folder = tmp_path_factory.mktemp("qwen2_vl")
    backbone = tiny("qwen2_vl")
    backbone.model.save_pretrained(folder)
    backbone.processor.save_pretrained(folder)
    return folder


def test_every_family_names_itself_and_is_tested():
    assert set(families()) == set(FAMILIES)
    assert all(backbone_class(name).family == name for name in families())


def test_the_default_edit_layer_is_the_papers():
    assert backbone_class("llava").default_edit_layer(32) == 21


@pytest.mark.parametrize(("family", "nearest"), [("llava_nxt", "llava_next"), ("bert", None)])
def test_an_unknown_family_lists_what_is_known(family, nearest):
    with pytest.raises(UnknownFamily, match="qwen2_5_vl, qwen2_vl, qwen3_vl, smolvlm") as raised:
        backbone_class(family)
    assert ("nearest" in str(raised.value)) == (nearest is not None)
    assert nearest is None or f"the nearest is '{nearest}'" in str(raised.value)


def test_a_model_of_an_unknown_family(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(UnknownFamily, match="'bert'"):
        load_backbone(tmp_path)


@pytest.mark.parametrize("name", ["poket", "no/such/folder", "no-such-owner/no-such-model"])
def test_a_model_that_is_not_there(name, monkeypatch):
    """Nothing is fetched: the hub is told to be offline."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BadCheckpoint, match=name):
        load_backbone(name)


def test_a_plugin_is_found_by_its_entry_point(tmp_path, monkeypatch):
    (tmp_path / "painted.py").write_text(PLUGIN)
    info = tmp_path / "painted-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: painted\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[liveedit.backbones]\npainted_llava = painted:Painted\nllava = painted:Painted\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert backbone_class("painted_llava").__name__ == "Painted"
    assert backbone_class("llava").__name__ == "LlavaBackbone", "ours go first"


def test_precision_and_layer_are_as_asked(saved):
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        backbone = load_backbone(saved, dtype=dtype, edit_layer=1)
        assert (backbone.dtype, backbone.edit_layer) == (dtype, 1)
        assert backbone.fingerprint()["dtype"] == str(dtype).removeprefix("torch.")
        assert backbone.processor.tokenizer.padding_side == "left"


def test_a_model_whose_layers_wait_elsewhere_answers_the_same(saved, pictures):
    """Accelerate brings the weights of layers when they are run; between, they are nowhere."""
    whole, spread = (load_backbone(saved, dtype=torch.float32, edit_layer=3) for _ in range(2))
    for layer in spread.decoder.layers[3:]:
        cpu_offload(layer, execution_device=torch.device("cpu"))
    assert next(spread.layer.parameters()).is_meta
    assert spread.edit_device == torch.device("cpu")
    query = whole.query(pictures[:2], ["What is this?"] * 2, ["a", "red dog"])
    states = whole.states(query)
    torch.testing.assert_close(spread.states(query), states)
    kept = query.spans.predicts
    torch.testing.assert_close(
        spread.finish(states, query.attention_mask, kept, query.per_token),
        whole.finish(states, query.attention_mask, kept, query.per_token),
    )


def test_a_device_map_that_is_found_automatically(saved, pictures):
    backbone = load_backbone(saved, device_map="auto", dtype=torch.float32)
    query = backbone.query(pictures[:1], ["What is this?"])
    expected = load_backbone(saved, dtype=torch.float32).logits(query)
    torch.testing.assert_close(backbone.logits(query), expected)


def test_without_weights_only_tokens(saved):
    backbone = load_backbone(saved, weights=False)
    assert backbone.device == torch.device("meta")
    assert backbone.encode("What?") == tiny("qwen2_vl").encode("What?")


def test_a_quantised_model_is_edited_all_the_same(saved, pictures):
    """Weights of 8 bits, by quanto; experts are as ever."""
    backbone = load_backbone(
        saved, dtype=torch.float32, quantization_config=QuantoConfig(weights="int8")
    )
    assert backbone.fingerprint()["dtype"] == "float32, quanto"
    network = EditorNetwork(EditorConfig(width=16, heads=2, rank=4, dropout=0.0), backbone.width)
    query = backbone.query(pictures, ["What is this?"] * 3)
    exact = load_backbone(saved, dtype=torch.float32)
    states = backbone.states(query)
    assert not torch.equal(states, exact.states(query)), "nothing was quantised"
    network.set_scale(measure_scale(states[query.attention_mask.bool()]))
    network.router.margin.fill_(-100)
    network.router.prompt_bias.data.fill_(5)
    network.generator.v_gain.data.fill_(20)
    model = EditedModel(LiveEdit(backbone, network))
    before = backbone.logits(query)
    assert model.edit(pictures[0], "What is this?", "a red dog").reached
    assert model.generate(pictures[0], "What is this?") == "a red dog"
    with model.disabled():
        assert torch.equal(backbone.logits(query), before)
