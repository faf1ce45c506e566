import os
import shutil
import time
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoConfig, LlavaForConditionalGeneration, LlavaProcessor

from liveedit.backbones.registry import load_backbone
from liveedit.errors import DamagedPart, MissingPart
from liveedit.pocket import assembly

MATRIX = "model.language_model.layers.2.self_attn.q_proj"
WHOLE = "model.multi_modal_projector.linear_1.bias"


@pytest.fixture
def model(tiny_model):
    return deepcopy(tiny_model)


@pytest.fixture
def alignment() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        f"{MATRIX}.lora_A": torch.randn(3, 64),
        f"{MATRIX}.lora_B": torch.randn(64, 3),
        WHOLE: torch.randn(64),
    }


@pytest.fixture
def cache(monkeypatch, tmp_path, tiny_model, processor, alignment) -> Path:
    """An empty cache; what is assembled into it is the tiny model, aligned with a small file."""
    shipped = tmp_path / "alignment.safetensors"
    save_file(alignment, shipped)
    monkeypatch.setattr(assembly, "shipped_alignment", lambda: shipped)
    monkeypatch.setattr(assembly, "unaligned_pocket", lambda: (deepcopy(tiny_model), processor))
    return tmp_path / "cache"


@pytest.fixture
def shipped(monkeypatch, tmp_path):
    """An alignment file, while the parts are the real ones."""
    path = tmp_path / "alignment.safetensors"
    save_file({"nothing": torch.zeros(1)}, path)
    monkeypatch.setattr(assembly, "shipped_alignment", lambda: path)


def test_merging_adds_the_product_and_copies_whole_tensors(model, tiny_model, alignment):
    assembly.merge_alignment(model, alignment)
    before, after = tiny_model.state_dict(), model.state_dict()
    update = alignment[f"{MATRIX}.lora_B"] @ alignment[f"{MATRIX}.lora_A"]
    torch.testing.assert_close(after[f"{MATRIX}.weight"], before[f"{MATRIX}.weight"] + update)
    assert torch.equal(after[WHOLE], alignment[WHOLE])
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert changed == {f"{MATRIX}.weight", WHOLE}


def test_merging_computes_in_float32_into_the_models_dtype(model, tiny_model, alignment):
    model.bfloat16()
    weights = {name: tensor.bfloat16() for name, tensor in alignment.items()}
    assembly.merge_alignment(model, weights)
    update = weights[f"{MATRIX}.lora_B"].float() @ weights[f"{MATRIX}.lora_A"].float()
    before = tiny_model.state_dict()[f"{MATRIX}.weight"].bfloat16()
    found = model.state_dict()[f"{MATRIX}.weight"]
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, before + update.bfloat16())


@pytest.mark.parametrize("name", ["model.no_such.weight", "model.no_such.lora_A"])
def test_weights_that_belong_nowhere_are_not_passed_over(model, alignment, name):
    with pytest.raises(KeyError, match="no_such"):
        assembly.merge_alignment(model, alignment | {name: torch.zeros(3, 64)})


def test_built_model_is_whole_and_aligned(cache, tiny_model, alignment):
    folder = assembly.build_pocket(cache)
    assert folder == assembly.pocket_folder(cache)
    assert [path.name for path in cache.iterdir()] == [folder.name]
    loaded = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.bfloat16)
    processor = LlavaProcessor.from_pretrained(folder)
    assert torch.equal(loaded.state_dict()[WHOLE], alignment[WHOLE].bfloat16())
    assert loaded.state_dict()[f"{MATRIX}.weight"].dtype == torch.bfloat16
    head = "model.vision_tower.backbone.head.weight"
    assert torch.equal(loaded.state_dict()[head], tiny_model.state_dict()[head]), "not float32"
    assert processor.tokenizer.padding_side == "left"
    conversation = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Hi"}]}
    ]
    text = processor.apply_chat_template(conversation, add_generation_prompt=True)
    assert text == "<|im_start|>user\n<image>\nHi<|im_end|>\n<|im_start|>assistant\n"


def test_loaded_model_reads_pictures_in_its_own_dtype(cache, pictures):
    folder = assembly.build_pocket(cache)
    loaded = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.bfloat16)
    processor = LlavaProcessor.from_pretrained(folder)
    inputs = processor(text="<image>\nHi", images=pictures[0], return_tensors="pt")
    assert (
        inputs["pixel_values"].shape[-1]
        == AutoConfig.from_pretrained(folder).vision_config.image_size
    )
    output = loaded.generate(**inputs, max_new_tokens=2)
    assert output.shape[1] == inputs["input_ids"].shape[1] + 2


def test_its_precision_is_the_language_models_whatever_the_tower_computes_in(cache):
    folder = assembly.build_pocket(cache)
    for dtype in (torch.bfloat16, torch.float32):
        backbone = load_backbone(str(folder), dtype=dtype)
        assert next(backbone.model.model.vision_tower.parameters()).dtype == torch.float32
        name = str(dtype).removeprefix("torch.")
        assert (backbone.dtype, backbone.precision) == (dtype, name)


def test_built_once_unless_forced(cache, monkeypatch):
    folder = assembly.build_pocket(cache)
    (folder / "mark").touch()
    assert assembly.build_pocket(cache) == folder
    assert (folder / "mark").exists()
    assert assembly.build_pocket(cache, force=True) == folder
    assert not (folder / "mark").exists()
    assert (folder / "config.json").exists()


def test_other_alignment_weights_are_another_model(cache):
    before = assembly.pocket_folder(cache)
    save_file({WHOLE: torch.ones(64)}, assembly.shipped_alignment())
    assert assembly.pocket_folder(cache) != before


def test_cache_folder_comes_from_the_environment(cache, monkeypatch, tmp_path):
    monkeypatch.setenv("LIVEEDIT_CACHE", str(tmp_path / "elsewhere"))
    assert assembly.pocket_folder().parent == tmp_path / "elsewhere"


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_interruption_leaves_nothing_half_built(cache, monkeypatch, error):
    def write_half(model, processor, folder: Path) -> None:
        (folder / "config.json").write_text("{")
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(assembly, "save_pocket", write_half)
        with pytest.raises(error):
            assembly.build_pocket(cache)
    assert not list(cache.iterdir())
    assert (assembly.build_pocket(cache) / "config.json").stat().st_size > 1


def test_failed_forced_build_keeps_the_model_that_was_there(cache, monkeypatch):
    folder = assembly.build_pocket(cache)

    def fail(model, processor, folder: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(assembly, "save_pocket", fail)
    with pytest.raises(KeyboardInterrupt):
        assembly.build_pocket(cache, force=True)
    assert [path.name for path in cache.iterdir()] == [folder.name]
    assert (folder / "config.json").exists()


def test_what_a_killed_build_left_behind_is_removed(cache):
    folder = assembly.pocket_folder(cache)
    stale, other = cache / f"{folder.name}.part-abc", cache / "pocket-of-another-version"
    for path in (stale, other):
        path.mkdir(parents=True)
        (path / "model.safetensors").write_text("half a model")
    yesterday = time.time() - 86_400
    os.utime(stale, (yesterday, yesterday))
    assembly.build_pocket(cache)
    assert sorted(path.name for path in cache.iterdir()) == sorted([folder.name, other.name])


def test_another_process_that_was_faster_wins(cache, monkeypatch):
    folder, save_pocket = assembly.pocket_folder(cache), assembly.save_pocket

    def save_while_another_finishes(model, processor, part: Path) -> None:
        save_pocket(model, processor, part)
        shutil.copytree(part, folder)
        (folder / "mark").touch()

    monkeypatch.setattr(assembly, "save_pocket", save_while_another_finishes)
    assert assembly.build_pocket(cache) == folder
    assert (folder / "mark").exists()
    assert [path.name for path in cache.iterdir()] == [folder.name]


def test_a_build_that_starts_meanwhile_does_no_harm(cache, monkeypatch):
    def interrupted(model, processor, part: Path) -> None:
        raise KeyboardInterrupt

    def save_while_another_starts(model, processor, part: Path) -> None:
        model.save_pretrained(part)
        monkeypatch.setattr(assembly, "save_pocket", interrupted)
        with pytest.raises(KeyboardInterrupt):
            assembly.build_pocket(cache)
        processor.save_pretrained(part)

    monkeypatch.setattr(assembly, "save_pocket", save_while_another_starts)
    assert (assembly.build_pocket(cache) / "model.safetensors").exists()


@pytest.mark.parametrize("part", ["_LANGUAGE_MODEL", "_TOWER"])
def test_missing_part_names_the_command_that_installs_it(
    monkeypatch, processor, shipped, tmp_path, part
):
    _, inside, install = getattr(assembly, part)
    monkeypatch.setattr(assembly, part, ("liveedit_no_such_package", inside, install))
    with pytest.raises(MissingPart, match="liveedit_no_such_package") as raised:
        assembly.build_pocket(tmp_path / "cache")
    assert install in str(raised.value)
    assert install.startswith("pip install ")


@pytest.mark.parametrize("part", ["_LANGUAGE_MODEL", "_TOWER"])
def test_part_whose_file_is_gone_is_missing(monkeypatch, processor, shipped, tmp_path, part):
    package, _, install = getattr(assembly, part)
    monkeypatch.setattr(assembly, part, (package, "no_such_file", install))
    with pytest.raises(MissingPart):
        assembly.build_pocket(tmp_path / "cache")


@pytest.mark.parametrize("part", ["_LANGUAGE_MODEL", "_TOWER"])
def test_damaged_part_names_the_command_that_installs_it(
    monkeypatch, processor, shipped, tmp_path, part
):
    _, inside, install = getattr(assembly, part)
    monkeypatch.setitem(assembly._SHA256, inside, "0" * 64)
    with pytest.raises(DamagedPart, match="hash differs") as raised:
        assembly.build_pocket(tmp_path / "cache")
    assert install in str(raised.value)
    assert Path(inside).name in str(raised.value)
    assert not list((tmp_path / "cache").iterdir())
