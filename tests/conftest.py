# ruff: noqa: E402
"""What tests share: a tiny VLM with random weights, and the checking of every annotated tensor."""

from __future__ import annotations

from pathlib import Path

from jaxtyping import install_import_hook

import liveedit

# Before anything of liveedit is imported: beartype checks shapes and dtypes in every call, but not
# - where no tensors are and calls are so many that checking them would take half a minute,
# - where transformers makes a dataclass out of a class whose __init__ takes more than its fields.
_UNCHECKED = ("data/emoji_edit/*.py", "pocket/tower.py")
_INT_IS_FLOAT = "beartype.BeartypeConf(is_pep484_tower=True)"
_SOURCE = Path(liveedit.__file__).parent
install_import_hook(
    [
        ".".join(("liveedit", *path.relative_to(_SOURCE).with_suffix("").parts))
        for path in _SOURCE.rglob("*.py")
        if path.name != "__init__.py" and not any(path.match(some) for some in _UNCHECKED)
    ],
    f"beartype.beartype(conf={_INT_IS_FLOAT})",
)

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from transformers import LlamaConfig, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor

from liveedit.backbones.llava import LlavaBackbone
from liveedit.data.emoji_edit.corrections import EditCase, validation_set
from liveedit.data.emoji_edit.knowledge import TextCase, text_validation_set
from liveedit.errors import MissingPart
from liveedit.pocket import assembly
from liveedit.pocket.tower import PocketVisionConfig

_VISION = PocketVisionConfig(
    hidden_size=64, image_size=128, width=0.5, depth=0.5, channels=40,
    context=16, embedding=8, entries=12, colours=4, words=2, classes=7,
)  # fmt: skip


@pytest.fixture(scope="session")
def processor() -> LlavaProcessor:
    """The pocket VLM's processor, for smaller pictures."""
    try:
        processor = assembly._processor(assembly._part(*assembly._LANGUAGE_MODEL))
    except MissingPart as missing:
        pytest.skip(str(missing))
    processor.image_processor.size = {"height": _VISION.image_size, "width": _VISION.image_size}
    processor.patch_size = _VISION.image_size
    processor.num_additional_image_tokens = _VISION.image_tokens - 1
    return processor


@pytest.fixture(scope="session")
def tiny_model(processor: LlavaProcessor) -> LlavaForConditionalGeneration:
    """A LLaVA of four narrow layers with random weights, shared: do not change it."""
    text = LlamaConfig(
        vocab_size=len(processor.tokenizer),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.125,  # large enough that layers and pictures make a difference
        tie_word_embeddings=False,
    )
    config = LlavaConfig(
        vision_config=_VISION,
        text_config=text,
        image_token_index=processor.image_token_id,
        image_seq_length=_VISION.image_tokens,
        vision_feature_select_strategy="full",
        vision_feature_layer=-1,
        tie_word_embeddings=False,
        pad_token_id=processor.tokenizer.pad_token_id,
        bos_token_id=processor.tokenizer.bos_token_id,
        eos_token_id=processor.tokenizer.eos_token_id,
    )
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(config).eval()
    for module in model.model.vision_tower.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    slots = model.model.vision_tower.slots
    for tensor in (slots.thing_words, slots.colour_words, slots.project.weight, slots.means):
        nn.init.normal_(tensor)
    return model.requires_grad_(False)


@pytest.fixture(scope="session")
def backbone(tiny_model: LlavaForConditionalGeneration, processor: LlavaProcessor) -> LlavaBackbone:
    """The tiny VLM behind the interface that the editor uses; layer 1 of 0 to 3 is edited."""
    return LlavaBackbone(tiny_model, processor, edit_layer=1, name="tiny")


@pytest.fixture(scope="session")
def tiny_folder(
    tiny_model: LlavaForConditionalGeneration,
    processor: LlavaProcessor,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The tiny VLM as a folder that other processes load."""
    folder = tmp_path_factory.mktemp("tiny")
    tiny_model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def pictures() -> list[Image.Image]:
    """Three different pictures, none of the model's size."""
    random = np.random.default_rng(0)
    return [
        Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)).resize((160, 120))
        for shape in ((3, 4, 3), (5, 5, 3), (2, 7, 3))
    ]


@pytest.fixture(scope="session")
def pocket_folder() -> Path:
    """The pocket VLM, built into the user's cache if it is not there."""
    try:
        return assembly.build_pocket()
    except MissingPart as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def pictured() -> list[EditCase]:
    """A few corrections of emoji-edit."""
    return validation_set(5)


@pytest.fixture(scope="session")
def texts() -> list[TextCase]:
    """A few text-only ones."""
    return text_validation_set()[:3]
