"""Tiny random models of transformers' own classes with their own processors, built offline."""

from __future__ import annotations

from functools import cache

import torch
from torch import nn
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    GotOcr2ImageProcessor,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessor,
    Idefics3Processor,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessor,
    LlavaNextProcessor,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionImageProcessor,
    LlavaOnevisionProcessor,
    LlavaProcessor,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Config,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    SiglipVisionConfig,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
    SmolVLMImageProcessor,
    SmolVLMProcessor,
)

from liveedit.backbones.base import Backbone
from liveedit.backbones.processors import for_pictures
from liveedit.backbones.registry import backbone_class
from tests.backbones.more_families import blip2, gemma3, minigpt4, paligemma
from tests.backbones.parts import (
    EDGE,
    EDIT_LAYER,
    GRID,
    LAYERS,
    SQUARE,
    VISION_SIZES,
    Family,
    llama_tokenizer,
    text_settings,
)
from tests.backbones.tokenizers import CHATML, LLAVA_CHAT, SMOLVLM_CHAT, tokenizer

__all__ = ["EDIT_LAYER", "FAMILIES", "LAYERS", "Family", "shaken", "tiny"]


def _llava():
    tok = llama_tokenizer()
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**VISION_SIZES),
        text_config=text_settings(LlamaConfig, tok),
        image_token_index=tok.convert_tokens_to_ids("<image>"),
    )
    processor = LlavaProcessor(
        CLIPImageProcessor(size=EDGE, crop_size=SQUARE),
        tok,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=LLAVA_CHAT,
    )
    return LlavaForConditionalGeneration(config), processor


def _llava_next():
    tok = llama_tokenizer()
    config = LlavaNextConfig(
        vision_config=CLIPVisionConfig(**VISION_SIZES),
        text_config=text_settings(LlamaConfig, tok),
        image_grid_pinpoints=GRID,
        image_token_index=tok.convert_tokens_to_ids("<image>"),
    )
    processor = LlavaNextProcessor(
        LlavaNextImageProcessor(size=EDGE, crop_size=SQUARE, image_grid_pinpoints=GRID),
        tok,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=LLAVA_CHAT,
    )
    return LlavaNextForConditionalGeneration(config), processor


def _chatml_tokenizer(*special: str, **named: str) -> PreTrainedTokenizerFast:
    every = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *special, *named.values()]
    return tokenizer(every, eos="<|im_end|>", pad="<|endoftext|>", **named)


def _llava_onevision():
    tok = _chatml_tokenizer("<image>", "<video>")
    config = LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(**VISION_SIZES),
        text_config=text_settings(Qwen2Config, tok),
        image_grid_pinpoints=GRID,
        image_token_index=tok.convert_tokens_to_ids("<image>"),
        video_token_index=tok.convert_tokens_to_ids("<video>"),
    )
    processor = for_pictures(LlavaOnevisionProcessor)(
        LlavaOnevisionImageProcessor(size=SQUARE, image_grid_pinpoints=GRID),
        tok,
        num_image_tokens=4,
        vision_feature_select_strategy="full",
        chat_template=CHATML.replace("IMAGE", "<image>\\n"),
    )
    return LlavaOnevisionForConditionalGeneration(config), processor


def _qwen_parts():
    tok = _chatml_tokenizer("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    ids = {
        f"{name}_token_id": tok.convert_tokens_to_ids(f"<|{token}|>")
        for name, token in (
            ("image", "image_pad"),
            ("video", "video_pad"),
            ("vision_start", "vision_start"),
            ("vision_end", "vision_end"),
        )
    }
    chat = CHATML.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>")
    return tok, ids, chat


def _qwen_images(patch: int = 14) -> Qwen2VLImageProcessor:
    size = {"shortest_edge": (2 * patch) ** 2 * 2, "longest_edge": (2 * patch) ** 2 * 6}
    return Qwen2VLImageProcessor(size=size, patch_size=patch)


def _qwen2_vl():
    tok, ids, chat = _qwen_parts()
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
    config = Qwen2VLConfig(
        vision_config={"depth": 2, "embed_dim": 32, "num_heads": 2, "hidden_size": 64},
        text_config=text_settings(_text_class(Qwen2VLConfig), tok, rope_parameters=rope).to_dict(),
        **ids,
    )
    processor = for_pictures(Qwen2VLProcessor)(_qwen_images(), tok, chat_template=chat)
    return Qwen2VLForConditionalGeneration(config), processor


def _qwen2_5_vl():
    tok, ids, chat = _qwen_parts()
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
    config = Qwen2_5_VLConfig(
        vision_config={
            "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2,
            "out_hidden_size": 64, "fullatt_block_indexes": [1], "window_size": 56,
        },
        text_config=text_settings(
            _text_class(Qwen2_5_VLConfig), tok, rope_parameters=rope
        ).to_dict(),
        **ids,
    )  # fmt: skip
    processor = for_pictures(Qwen2_5_VLProcessor)(_qwen_images(), tok, chat_template=chat)
    return Qwen2_5_VLForConditionalGeneration(config), processor


def _qwen3_vl():
    tok, ids, chat = _qwen_parts()
    rope = {"rope_type": "default", "mrope_section": [4, 2, 2], "rope_theta": 10000.0}
    text = text_settings(
        _text_class(Qwen3VLConfig), tok, rope_parameters=rope, head_dim=16
    ).to_dict()
    config = Qwen3VLConfig(
        vision_config={
            "depth": 3, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2,
            "out_hidden_size": 64, "deepstack_visual_indexes": [0, 1], "patch_size": 16,
            "num_position_embeddings": 16,
        },
        text_config=text,
        **ids,
    )  # fmt: skip
    processor = for_pictures(Qwen3VLProcessor)(_qwen_images(16), tok, chat_template=chat)
    return Qwen3VLForConditionalGeneration(config), processor


def _text_class(config: type) -> type:
    return type(config().text_config)


def _idefics_tokenizer() -> PreTrainedTokenizerFast:
    rows = [f"<row_{row}_col_{col}>" for row in range(1, 4) for col in range(1, 4)]
    return tokenizer(
        ["<|im_start|>", "<end_of_utterance>", "<fake_token_around_image>", "<image>",
         "<global-img>", "<pad>", *rows],
        eos="<end_of_utterance>", pad="<pad>", bos="<|im_start|>",
    )  # fmt: skip


def _idefics3():
    tok = _idefics_tokenizer()
    config = Idefics3Config(
        vision_config=VISION_SIZES,
        text_config=text_settings(LlamaConfig, tok).to_dict(),
        image_token_id=tok.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=tok.pad_token_id,
    )
    images = Idefics3ImageProcessor(
        size={"longest_edge": 56}, max_image_size={"longest_edge": 28}, do_image_splitting=True
    )
    processor = Idefics3Processor(images, tok, image_seq_len=1, chat_template=SMOLVLM_CHAT)
    return Idefics3ForConditionalGeneration(config), processor


def _smolvlm():
    tok = _idefics_tokenizer()
    config = SmolVLMConfig(
        vision_config=VISION_SIZES,
        text_config=text_settings(LlamaConfig, tok).to_dict(),
        image_token_id=tok.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=tok.pad_token_id,
    )
    images = SmolVLMImageProcessor(
        size={"longest_edge": 56}, max_image_size={"longest_edge": 28}, do_image_splitting=True
    )
    processor = for_pictures(SmolVLMProcessor)(
        images, tok, None, image_seq_len=1, chat_template=SMOLVLM_CHAT
    )
    return SmolVLMForConditionalGeneration(config), processor


def _internvl():
    tok = _chatml_tokenizer(
        start_image_token="<img>",
        end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>",
        video_token="<video>",
    )
    config = InternVLConfig(
        vision_config={**VISION_SIZES, "image_size": [28, 28], "patch_size": [14, 14]},
        text_config=text_settings(Qwen2Config, tok).to_dict(),
        image_token_id=tok.context_image_token_id,
        image_seq_length=1,
        downsample_ratio=0.5,
    )
    processor = for_pictures(InternVLProcessor)(
        GotOcr2ImageProcessor(size=SQUARE, crop_to_patches=True, max_patches=4),
        tok,
        image_seq_length=1,
        chat_template=CHATML.replace("IMAGE", "<IMG_CONTEXT>\\n"),
    )
    return InternVLForConditionalGeneration(config), processor


FAMILIES = {
    family.name: family
    for family in (
        Family("llava", _llava),
        Family("qwen2_vl", _qwen2_vl),
        Family("qwen2_5_vl", _qwen2_5_vl),
        Family("llava_next", _llava_next),
        Family("llava_onevision", _llava_onevision),
        Family("smolvlm", _smolvlm),
        Family("idefics3", _idefics3),
        Family("internvl", _internvl),
        Family("blip-2", blip2, "Question: {} Answer:"),
        Family("gemma3", gemma3),
        Family("paligemma", paligemma, "<image>answer en {}"),
        Family("qwen3_vl", _qwen3_vl),
        Family("minigpt4", minigpt4, "<s>###Human: <Img><image></Img> {} ###Assistant:"),
    )
}


def shaken(model: PreTrainedModel) -> PreTrainedModel:
    """The model with weights so large that layers and pictures make a difference."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Linear | nn.Conv2d | nn.Conv3d):
                module.weight.normal_(std=module.weight[0].numel() ** -0.5)
            elif isinstance(module, nn.Embedding):
                module.weight.normal_()
        for name, value in model.named_parameters():
            if name.endswith(("query_tokens", "image_newline", "mm_input_projection_weight")):
                value.normal_(std=0.3)
    return model.requires_grad_(False)


@cache
def tiny(family: str) -> Backbone:
    """A tiny model of a family behind its backbone, shared: do not change it."""
    torch.manual_seed(0)
    model, processor = FAMILIES[family].build()
    name = f"tiny-{family}"
    return backbone_class(family)(shaken(model), processor, edit_layer=EDIT_LAYER, name=name)
