"""Tiny random models of transformers' own classes with their own processors, built offline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import nn
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    BlipImageProcessor,
    CLIPImageProcessor,
    CLIPVisionConfig,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3ImageProcessor,
    Gemma3Processor,
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
    PaliGemmaConfig,
    PaliGemmaForConditionalGeneration,
    PaliGemmaProcessor,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    ProcessorMixin,
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
    SiglipImageProcessor,
    SiglipVisionConfig,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
    SmolVLMImageProcessor,
    SmolVLMProcessor,
)

from liveedit.backbones.base import Backbone
from liveedit.backbones.processors import for_pictures
from liveedit.backbones.registry import backbone_class

LAYERS, EDIT_LAYER = 5, 3
_TEXT = "What is this? Who are you, my friend? Where was it made? a red dog, yes, in Rome. answer"
_TEXT_SIZES = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": False,
}
_VISION_SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}
_EDGE, _SQUARE = {"shortest_edge": 28}, {"height": 28, "width": 28}
_GRID = [[28, 56], [56, 28], [56, 56]]

_LLAVA_CHAT = """\
{%- for m in messages -%}{{- m['role'].upper() + ': ' -}}
{%- for c in m['content'] if c['type'] == 'image' -%}{{- '<image>\\n' -}}{%- endfor -%}
{%- for c in m['content'] if c['type'] == 'text' -%}{{- c['text'] + ' ' -}}{%- endfor -%}
{%- endfor -%}{%- if add_generation_prompt -%}{{- 'ASSISTANT:' -}}{%- endif -%}"""
_CHATML = """\
{%- for m in messages -%}{{- '<|im_start|>' + m['role'] + '\\n' -}}
{%- for c in m['content'] -%}
{%- if c['type'] == 'image' -%}{{- 'IMAGE' -}}{%- else -%}{{- c['text'] -}}{%- endif -%}
{%- endfor -%}{{- '<|im_end|>\\n' -}}{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"""
_SMOLVLM_CHAT = """\
{{- '<|im_start|>' -}}{%- for m in messages -%}{{- m['role'] | capitalize -}}
{%- if m['content'][0]['type'] == 'image' -%}{{- ':' -}}{%- else -%}{{- ': ' -}}{%- endif -%}
{%- for c in m['content'] -%}
{%- if c['type'] == 'image' -%}{{- '<image>' -}}{%- else -%}{{- c['text'] -}}{%- endif -%}
{%- endfor -%}{{- '<end_of_utterance>\\n' -}}{%- endfor -%}
{%- if add_generation_prompt -%}{{- 'Assistant:' -}}{%- endif -%}"""
_GEMMA_CHAT = """\
{{- bos_token -}}{%- for m in messages -%}
{{- '<start_of_turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\\n' -}}
{%- for c in m['content'] -%}
{%- if c['type'] == 'image' -%}{{- '<start_of_image>' -}}{%- else -%}{{- c['text'] | trim -}}
{%- endif -%}{%- endfor -%}{{- '<end_of_turn>\\n' -}}{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<start_of_turn>model\\n' -}}{%- endif -%}"""


@dataclass(frozen=True)
class Family:
    """How to build a tiny model of a family, and what its own processor makes of a question.

    Args:
        name: Of the family.
        build: Makes model and processor.
        prompt: The question as this family's own users pass it to the processor; by default its
            chat template says.
    """

    name: str
    build: Callable[[], tuple[PreTrainedModel, ProcessorMixin]]
    prompt: str | None = None


def tokenizer(
    special: list[str], *, eos: str, pad: str, bos: str | None = None, starts: bool = False, **more
) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with a family's special tokens.

    Args:
        special: All of them.
        eos: End of sequence.
        pad: Padding.
        bos: Start of sequence.
        starts: Whether the tokenizer puts it there.
        more: Tokens that the processor asks for by name.
    """
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(
        [_TEXT],
        trainers.BpeTrainer(
            vocab_size=320,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    if starts:
        made.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A",
            pair=f"{bos} $A $B:1",
            special_tokens=[(bos, made.token_to_id(bos))],
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        eos_token=eos,
        pad_token=pad,
        bos_token=bos,
        extra_special_tokens=more or [one for one in special if one not in (eos, pad, bos)],
    )


def _text(config: type, tok: PreTrainedTokenizerFast, **more: object):
    ids = {name: getattr(tok, name) for name in ("pad_token_id", "bos_token_id", "eos_token_id")}
    return config(vocab_size=len(tok), **(_TEXT_SIZES | ids | more))


def _llama_tokenizer() -> PreTrainedTokenizerFast:
    special = ["<unk>", "<s>", "</s>", "<image>", "<pad>"]
    return tokenizer(special, eos="</s>", pad="<pad>", bos="<s>", starts=True)


def _llava():
    tok = _llama_tokenizer()
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**_VISION_SIZES),
        text_config=_text(LlamaConfig, tok),
        image_token_index=tok.convert_tokens_to_ids("<image>"),
    )
    processor = LlavaProcessor(
        CLIPImageProcessor(size=_EDGE, crop_size=_SQUARE),
        tok,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=_LLAVA_CHAT,
    )
    return LlavaForConditionalGeneration(config), processor


def _llava_next():
    tok = _llama_tokenizer()
    config = LlavaNextConfig(
        vision_config=CLIPVisionConfig(**_VISION_SIZES),
        text_config=_text(LlamaConfig, tok),
        image_grid_pinpoints=_GRID,
        image_token_index=tok.convert_tokens_to_ids("<image>"),
    )
    processor = LlavaNextProcessor(
        LlavaNextImageProcessor(size=_EDGE, crop_size=_SQUARE, image_grid_pinpoints=_GRID),
        tok,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=_LLAVA_CHAT,
    )
    return LlavaNextForConditionalGeneration(config), processor


def _chatml_tokenizer(*special: str, **named: str) -> PreTrainedTokenizerFast:
    every = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *special, *named.values()]
    return tokenizer(every, eos="<|im_end|>", pad="<|endoftext|>", **named)


def _llava_onevision():
    tok = _chatml_tokenizer("<image>", "<video>")
    config = LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(**_VISION_SIZES),
        text_config=_text(Qwen2Config, tok),
        image_grid_pinpoints=_GRID,
        image_token_index=tok.convert_tokens_to_ids("<image>"),
        video_token_index=tok.convert_tokens_to_ids("<video>"),
    )
    processor = for_pictures(LlavaOnevisionProcessor)(
        LlavaOnevisionImageProcessor(size=_SQUARE, image_grid_pinpoints=_GRID),
        tok,
        num_image_tokens=4,
        vision_feature_select_strategy="full",
        chat_template=_CHATML.replace("IMAGE", "<image>\\n"),
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
    chat = _CHATML.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>")
    return tok, ids, chat


def _qwen_images(patch: int = 14) -> Qwen2VLImageProcessor:
    size = {"shortest_edge": (2 * patch) ** 2 * 2, "longest_edge": (2 * patch) ** 2 * 6}
    return Qwen2VLImageProcessor(size=size, patch_size=patch)


def _qwen2_vl():
    tok, ids, chat = _qwen_parts()
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
    config = Qwen2VLConfig(
        vision_config={"depth": 2, "embed_dim": 32, "num_heads": 2, "hidden_size": 64},
        text_config=_text(_text_class(Qwen2VLConfig), tok, rope_parameters=rope).to_dict(),
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
        text_config=_text(_text_class(Qwen2_5_VLConfig), tok, rope_parameters=rope).to_dict(),
        **ids,
    )  # fmt: skip
    processor = for_pictures(Qwen2_5_VLProcessor)(_qwen_images(), tok, chat_template=chat)
    return Qwen2_5_VLForConditionalGeneration(config), processor


def _qwen3_vl():
    tok, ids, chat = _qwen_parts()
    rope = {"rope_type": "default", "mrope_section": [4, 2, 2], "rope_theta": 10000.0}
    text = _text(_text_class(Qwen3VLConfig), tok, rope_parameters=rope, head_dim=16).to_dict()
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
        vision_config=_VISION_SIZES,
        text_config=_text(LlamaConfig, tok).to_dict(),
        image_token_id=tok.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=tok.pad_token_id,
    )
    images = Idefics3ImageProcessor(
        size={"longest_edge": 56}, max_image_size={"longest_edge": 28}, do_image_splitting=True
    )
    processor = Idefics3Processor(images, tok, image_seq_len=1, chat_template=_SMOLVLM_CHAT)
    return Idefics3ForConditionalGeneration(config), processor


def _smolvlm():
    tok = _idefics_tokenizer()
    config = SmolVLMConfig(
        vision_config=_VISION_SIZES,
        text_config=_text(LlamaConfig, tok).to_dict(),
        image_token_id=tok.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=tok.pad_token_id,
    )
    images = SmolVLMImageProcessor(
        size={"longest_edge": 56}, max_image_size={"longest_edge": 28}, do_image_splitting=True
    )
    processor = for_pictures(SmolVLMProcessor)(
        images, tok, None, image_seq_len=1, chat_template=_SMOLVLM_CHAT
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
        vision_config={**_VISION_SIZES, "image_size": [28, 28], "patch_size": [14, 14]},
        text_config=_text(Qwen2Config, tok).to_dict(),
        image_token_id=tok.context_image_token_id,
        image_seq_length=1,
        downsample_ratio=0.5,
    )
    processor = for_pictures(InternVLProcessor)(
        GotOcr2ImageProcessor(size=_SQUARE, crop_to_patches=True, max_patches=4),
        tok,
        image_seq_length=1,
        chat_template=_CHATML.replace("IMAGE", "<IMG_CONTEXT>\\n"),
    )
    return InternVLForConditionalGeneration(config), processor


def _blip2_parts() -> dict[str, object]:
    return {
        "vision_config": _VISION_SIZES,
        "qformer_config": {
            "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
            "intermediate_size": 48,
        },
        "num_query_tokens": 6,
    }  # fmt: skip


def _blip2():
    tok = tokenizer(["<pad>", "</s>", "<image>"], eos="</s>", pad="<pad>", bos="</s>", starts=True)
    text = {
        "model_type": "opt", "hidden_size": 64, "word_embed_proj_dim": 64, "ffn_dim": 96,
        "num_hidden_layers": LAYERS, "num_attention_heads": 4, "vocab_size": len(tok),
        "max_position_embeddings": 512, "pad_token_id": tok.pad_token_id,
        "bos_token_id": tok.bos_token_id, "eos_token_id": tok.eos_token_id, "dropout": 0.0,
    }  # fmt: skip
    config = Blip2Config(
        text_config=text,
        image_token_index=tok.convert_tokens_to_ids("<image>"),
        **_blip2_parts(),
    )
    processor = Blip2Processor(BlipImageProcessor(size=_SQUARE), tok, num_query_tokens=6)
    return Blip2ForConditionalGeneration(config), processor


def _minigpt4():
    tok = _llama_tokenizer()
    config = Blip2Config(
        text_config=_text(LlamaConfig, tok).to_dict(),
        image_token_index=tok.convert_tokens_to_ids("<image>"),
        liveedit_family="minigpt4",
        **_blip2_parts(),
    )
    processor = Blip2Processor(BlipImageProcessor(size=_SQUARE), tok, num_query_tokens=6)
    return Blip2ForConditionalGeneration(config), processor


def _gemma3():
    tok = tokenizer(
        ["<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>", "<start_of_image>",
         "<end_of_image>", "<image_soft_token>"],
        eos="<eos>", pad="<pad>", bos="<bos>", starts=True, boi_token="<start_of_image>",
        eoi_token="<end_of_image>", image_token="<image_soft_token>",
        turn_token="<start_of_turn>", end_token="<end_of_turn>",
    )  # fmt: skip
    kinds = ["sliding_attention", "full_attention"] * 3
    text = _text(
        type(Gemma3Config().text_config), tok, head_dim=16, sliding_window=16,
        layer_types=kinds[:LAYERS],
    )  # fmt: skip
    config = Gemma3Config(
        vision_config=SiglipVisionConfig(**_VISION_SIZES, vision_use_head=False),
        text_config=text,
        mm_tokens_per_image=4,
        image_token_index=tok.image_token_id,
        boi_token_index=tok.boi_token_id,
        eoi_token_index=tok.eoi_token_id,
        tie_word_embeddings=False,
    )
    processor = Gemma3Processor(
        Gemma3ImageProcessor(size=_SQUARE), tok, chat_template=_GEMMA_CHAT, image_seq_length=4
    )
    return Gemma3ForConditionalGeneration(config), processor


def _paligemma():
    tok = tokenizer(["<pad>", "<eos>", "<bos>", "<image>"], eos="<eos>", pad="<pad>", bos="<bos>")
    images = SiglipImageProcessor(size=_SQUARE)
    images.image_seq_length = 4
    processor = PaliGemmaProcessor(images, tok)
    text = _text(type(PaliGemmaConfig().text_config), tok, head_dim=16)
    config = PaliGemmaConfig(
        vision_config=SiglipVisionConfig(**_VISION_SIZES, projection_dim=64, vision_use_head=False),
        text_config=text,
        projection_dim=64,
        image_token_index=tok.convert_tokens_to_ids("<image>"),
        tie_word_embeddings=False,
    )
    return PaliGemmaForConditionalGeneration(config), processor


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
        Family("blip-2", _blip2, "Question: {} Answer:"),
        Family("gemma3", _gemma3),
        Family("paligemma", _paligemma, "<image>answer en {}"),
        Family("qwen3_vl", _qwen3_vl),
        Family("minigpt4", _minigpt4, "<s>###Human: <Img><image></Img> {} ###Assistant:"),
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
