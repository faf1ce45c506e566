import json
import sys
from pathlib import Path

import pytest
from PIL import Image
from transformers import QuantoConfig

from liveedit import cli
from liveedit.backbones.quantisation import described
from liveedit.backbones.registry import load_backbone
from liveedit.errors import BadCheckpoint, MissingExtra
from tests.backbones.adapted import adapter_folder
from tests.backbones.families import FAMILIES, tiny


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    backbone = tiny(request.param)
    backbone.model.save_pretrained(tmp_path / "model")
    backbone.processor.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def run(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["liveedit", "doctor", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code or 0  # type: ignore[return-value]


@pytest.mark.parametrize("folder", list(FAMILIES), indirect=True)
def test_every_family_is_recognised(folder, request, monkeypatch, capsys) -> None:
    assert run([str(folder), "--json", "--edits", "7"], monkeypatch) == 0
    found = json.loads(capsys.readouterr().out)
    backbone = tiny(request.node.callspec.params["folder"])
    assert found["family"] == backbone.family
    assert (found["layers"], found["edit_layer"], found["width"]) == (5, 3, 64)
    assert found["parameters"] == sum(one.numel() for one in backbone.model.parameters())
    # two slots of both matrices in half precision, 4 vectors of 384 for each of two features
    assert found["bytes_of_edits"] == 7 * (2 * 2 * 2 * 64 + 4 * 2 * 4 * 384)
    assert found["bytes_per_long_edit"] == 2 * 2 * 100 * 64 + 4 * 2 * 4 * 384
    kinds = [run["kind"] for run in found["runs"]]
    assert kinds[-2:] == ["prompt", "target"]
    assert "vision" in kinds
    assert "What is this?" in found["runs"][-2]["text"]
    assert found["runs"][-1]["text"].strip().startswith("a red circle")
    assert any("liveedit train" in one for one in found["missing"])


@pytest.mark.parametrize("folder", ["llava_next"], indirect=True)
def test_told_and_drawn(folder, tmp_path, monkeypatch, capsys) -> None:
    Image.new("RGB", (100, 60), "blue").save(tmp_path / "blue.png")
    arguments = [str(folder), "--image", str(tmp_path / "blue.png"), "--edit-layer", "2"]
    assert run([*arguments, "--out", str(tmp_path / "drawn.png")], monkeypatch) == 0
    told = capsys.readouterr().out
    assert "llava_next" in told
    assert "2 of 0 to 4" in told
    with Image.open(tmp_path / "drawn.png") as drawn:
        assert drawn.height > drawn.width * 60 // 100
        assert drawn.getpixel((360, 200)) == (0, 0, 255)


@pytest.mark.parametrize("folder", ["llava"], indirect=True)
def test_a_processor_without_chat_template(folder, monkeypatch, capsys) -> None:
    (folder / "chat_template.jinja").unlink()
    assert run([str(folder)], monkeypatch) == 1
    assert "chat template" in capsys.readouterr().out.replace("\n", " ")


@pytest.mark.parametrize("folder", ["smolvlm"], indirect=True)
def test_a_package_that_a_processor_asks_for(folder, monkeypatch, capsys) -> None:
    from transformers.models.smolvlm import processing_smolvlm

    monkeypatch.setattr(processing_smolvlm, "num2words", None)
    assert run([str(folder)], monkeypatch) == 2
    assert "num2words" in capsys.readouterr().err


def told(folder: Path, monkeypatch, capsys, *, status: int) -> dict:
    assert run([str(folder), "--json"], monkeypatch) == status
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("folder", ["qwen2_vl"], indirect=True)
def test_an_adapter(folder, tmp_path, monkeypatch, capsys) -> None:
    model, _ = FAMILIES["qwen2_vl"].build()
    lora = adapter_folder(model, folder, tmp_path / "lora")
    found = told(lora, monkeypatch, capsys, status=0)
    assert found["adapter"] == f"LORA of rank 4 on q_proj, up_proj, for {folder}"
    assert (found["family"], found["weights"], found["problems"]) == ("qwen2_vl", "float32", [])
    assert run([str(lora)], monkeypatch) == 0
    assert "adapter     LORA of rank 4" in capsys.readouterr().out
    (lora / "adapter_model.safetensors").rename(lora / "adapter_model.bin")
    found = told(lora, monkeypatch, capsys, status=1)
    assert "has only adapter_model.bin" in found["problems"][0]
    settings = lora / "adapter_config.json"
    settings.write_text(settings.read_text().replace(str(folder), "/no/such/base"))
    assert run([str(lora)], monkeypatch) == 2
    assert "is for /no/such/base, which is not on this machine" in " ".join(
        capsys.readouterr().err.split()
    )


@pytest.mark.parametrize("folder", ["llava"], indirect=True)
def test_quantised_weights(folder, monkeypatch, capsys) -> None:
    """What the configuration says; the library is not asked for anything."""
    config = folder / "config.json"
    torchao = {"quant_method": "torchao", "quant_type": {"default": {"_type": "Int4Config"}}}
    config.write_text(json.dumps(json.loads(config.read_text()) | {"quantization_config": torchao}))
    monkeypatch.setattr("liveedit.backbones.quantisation._installed", lambda _: False)
    found = told(folder, monkeypatch, capsys, status=1)
    assert found["weights"] == "float32, quantised by torchao (Int4Config)"
    assert "pip install 'liveedit-vlm[torchao]'" in found["problems"][0]
    with pytest.raises(MissingExtra, match="torchao is not installed"):
        load_backbone(folder)
    monkeypatch.setattr("liveedit.backbones.quantisation._installed", lambda _: True)
    assert told(folder, monkeypatch, capsys, status=0)["problems"] == []
    (folder / "quanto_qmap.json").write_text("{}")
    assert "saved by quanto" in told(folder, monkeypatch, capsys, status=1)["problems"][0]
    with pytest.raises(BadCheckpoint, match="saved by quanto"):
        load_backbone(folder)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes (4 bits)"),
        ({"quant_method": "gptq", "bits": 4}, "gptq (4 bits)"),
        (QuantoConfig(weights="int8"), "quanto (int8)"),
    ],
)
def test_quantisation_in_words(settings, said) -> None:
    assert described(settings) == said
