"""The family that docs/backbones.md adds works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaProcessor,
    VipLlavaConfig,
    VipLlavaForConditionalGeneration,
)

from liveedit.backbones.registry import families
from tests.backbones.families import shaken
from tests.backbones.parts import EDGE, SQUARE, VISION_SIZES, llama_tokenizer, text_settings

DOCUMENT = Path(__file__).parents[2] / "docs" / "backbones.md"


def test_the_example(pictures):
    adding = DOCUMENT.read_text(encoding="utf-8").partition("## Adding a family")[2]
    blocks = re.findall(r"```python\n(.*?)```", adding, re.DOTALL)
    assert sum(block.count("\n") for block in blocks) < 45
    known: dict[str, object] = {"__name__": "liveedit_vipllava"}
    for block in blocks:
        exec(compile(block, str(DOCUMENT), "exec"), known)
    tokenizer = llama_tokenizer()
    config = VipLlavaConfig(
        vision_config=CLIPVisionConfig(**(VISION_SIZES | {"num_hidden_layers": 12})),
        text_config=text_settings(LlamaConfig, tokenizer),
        image_seq_length=4,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    processor = LlavaProcessor(
        CLIPImageProcessor(size=EDGE, crop_size=SQUARE),
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )
    torch.manual_seed(0)
    model = shaken(VipLlavaForConditionalGeneration(config))
    backbone = known["VipLlavaBackbone"](model, processor, edit_layer=2, name="tiny")
    known["check"](backbone, pictures[0])


def test_every_family_is_in_the_table():
    table = DOCUMENT.read_text(encoding="utf-8").partition("\n## ")[0]
    assert all(f"`{name}`" in table for name in families())
