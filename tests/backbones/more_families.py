"""Tiny models of the families with a Q-Former, and of Gemma's."""

from __future__ import annotations

from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    BlipImageProcessor,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3ImageProcessor,
    Gemma3Processor,
    LlamaConfig,
    PaliGemmaConfig,
    PaliGemmaForConditionalGeneration,
    PaliGemmaProcessor,
    SiglipImageProcessor,
    SiglipVisionConfig,
)

from tests.backbones.parts import (
    LAYERS,
    SQUARE,
    VISION_SIZES,
    llama_tokenizer,
    text_settings,
)
from tests.backbones.tokenizers import GEMMA_CHAT, tokenizer


def _blip2_parts() -> dict[str, object]:
    return {
        "vision_config": VISION_SIZES,
        "qformer_config": {
            "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
            "intermediate_size": 48,
        },
        "num_query_tokens": 6,
    }  # fmt: skip


def blip2():
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
    processor = Blip2Processor(BlipImageProcessor(size=SQUARE), tok, num_query_tokens=6)
    return Blip2ForConditionalGeneration(config), processor


def minigpt4():
    tok = llama_tokenizer()
    config = Blip2Config(
        text_config=text_settings(LlamaConfig, tok).to_dict(),
        image_token_index=tok.convert_tokens_to_ids("<image>"),
        liveedit_family="minigpt4",
        **_blip2_parts(),
    )
    processor = Blip2Processor(BlipImageProcessor(size=SQUARE), tok, num_query_tokens=6)
    return Blip2ForConditionalGeneration(config), processor


def gemma3():
    tok = tokenizer(
        ["<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>", "<start_of_image>",
         "<end_of_image>", "<image_soft_token>"],
        eos="<eos>", pad="<pad>", bos="<bos>", starts=True, boi_token="<start_of_image>",
        eoi_token="<end_of_image>", image_token="<image_soft_token>",
        turn_token="<start_of_turn>", end_token="<end_of_turn>",
    )  # fmt: skip
    kinds = ["sliding_attention", "full_attention"] * 3
    text = text_settings(
        type(Gemma3Config().text_config), tok, head_dim=16, sliding_window=16,
        layer_types=kinds[:LAYERS],
    )  # fmt: skip
    config = Gemma3Config(
        vision_config=SiglipVisionConfig(**VISION_SIZES, vision_use_head=False),
        text_config=text,
        mm_tokens_per_image=4,
        image_token_index=tok.image_token_id,
        boi_token_index=tok.boi_token_id,
        eoi_token_index=tok.eoi_token_id,
        tie_word_embeddings=False,
    )
    processor = Gemma3Processor(
        Gemma3ImageProcessor(size=SQUARE), tok, chat_template=GEMMA_CHAT, image_seq_length=4
    )
    return Gemma3ForConditionalGeneration(config), processor


def paligemma():
    tok = tokenizer(["<pad>", "<eos>", "<bos>", "<image>"], eos="<eos>", pad="<pad>", bos="<bos>")
    images = SiglipImageProcessor(size=SQUARE)
    images.image_seq_length = 4
    processor = PaliGemmaProcessor(images, tok)
    text = text_settings(type(PaliGemmaConfig().text_config), tok, head_dim=16)
    config = PaliGemmaConfig(
        vision_config=SiglipVisionConfig(**VISION_SIZES, projection_dim=64, vision_use_head=False),
        text_config=text,
        projection_dim=64,
        image_token_index=tok.convert_tokens_to_ids("<image>"),
        tie_word_embeddings=False,
    )
    return PaliGemmaForConditionalGeneration(config), processor
