"""MiniGPT-4's published files, made small, and what is made of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import Blip2QFormerConfig, Blip2VisionConfig, LlamaConfig, LlamaForCausalLM

from liveedit.backbones.minigpt4 import MiniGPT4Backbone, convert_minigpt4
from liveedit.backbones.registry import load_backbone
from liveedit.errors import BadCheckpoint
from tests.backbones.parts import llama_tokenizer, text_settings

WIDE, INNER, QUERY = 32, 48, 16  # widths of EVA, of its MLPs, of the Q-Former
BLOCKS = 3  # of which BLIP-2 leaves out the last


def eva_file() -> dict[str, Tensor]:
    """``eva_vit_g.pth``: names as published, sizes not."""
    tensors = {
        "cls_token": torch.randn(1, 1, WIDE),
        "pos_embed": torch.randn(1, 5, WIDE),
        "patch_embed.proj.weight": torch.randn(WIDE, 3, 14, 14),
        "patch_embed.proj.bias": torch.randn(WIDE),
        "norm.weight": torch.randn(WIDE),
        "norm.bias": torch.randn(WIDE),
        "head.weight": torch.randn(10, WIDE),
        "head.bias": torch.randn(10),
    }
    for block in range(BLOCKS):
        shapes = {
            "norm1.weight": (WIDE,), "norm1.bias": (WIDE,),
            "norm2.weight": (WIDE,), "norm2.bias": (WIDE,),
            "attn.q_bias": (WIDE,), "attn.v_bias": (WIDE,),
            "attn.qkv.weight": (3 * WIDE, WIDE),
            "attn.proj.weight": (WIDE, WIDE), "attn.proj.bias": (WIDE,),
            "mlp.fc1.weight": (INNER, WIDE), "mlp.fc1.bias": (INNER,),
            "mlp.fc2.weight": (WIDE, INNER), "mlp.fc2.bias": (WIDE,),
        }  # fmt: skip
        for name, shape in shapes.items():
            tensors[f"blocks.{block}.{name}"] = torch.randn(shape) / 5
    return tensors


def qformer_file() -> dict[str, Tensor]:
    """Under ``model`` in ``blip2_pretrained_flant5xxl.pth``; the language model's part, too."""
    bert = "Qformer.bert"
    shapes: dict[str, tuple[int, ...]] = {
        "query_tokens": (1, 32, QUERY),
        "ln_vision.weight": (WIDE,),
        "ln_vision.bias": (WIDE,),
        f"{bert}.embeddings.position_ids": (1, 8),
        f"{bert}.embeddings.word_embeddings.weight": (9, QUERY),
        f"{bert}.embeddings.position_embeddings.weight": (8, QUERY),
        f"{bert}.embeddings.LayerNorm.weight": (QUERY,),
        f"{bert}.embeddings.LayerNorm.bias": (QUERY,),
        "Qformer.cls.predictions.bias": (9,),
        "t5_proj.weight": (20, QUERY),
        "t5_proj.bias": (20,),
    }
    for layer in range(2):
        at = f"{bert}.encoder.layer.{layer}"
        kinds = {"attention": QUERY} | ({"crossattention": WIDE} if layer == 0 else {})
        for kind, seen in kinds.items():
            for part, source in (("query", QUERY), ("key", seen), ("value", seen)):
                shapes[f"{at}.{kind}.self.{part}.weight"] = (QUERY, source)
                shapes[f"{at}.{kind}.self.{part}.bias"] = (QUERY,)
            shapes[f"{at}.{kind}.output.dense.weight"] = (QUERY, QUERY)
            for name in ("dense.bias", "LayerNorm.weight", "LayerNorm.bias"):
                shapes[f"{at}.{kind}.output.{name}"] = (QUERY,)
        for branch in ("", "_query"):
            shapes[f"{at}.intermediate{branch}.dense.weight"] = (24, QUERY)
            shapes[f"{at}.intermediate{branch}.dense.bias"] = (24,)
            shapes[f"{at}.output{branch}.dense.weight"] = (QUERY, 24)
            for name in ("dense.bias", "LayerNorm.weight", "LayerNorm.bias"):
                shapes[f"{at}.output{branch}.{name}"] = (QUERY,)
    return {name: torch.randn(shape) / 2 for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("minigpt4")
    tokenizer = llama_tokenizer()
    text = text_settings(LlamaConfig, tokenizer)
    LlamaForCausalLM(text).save_pretrained(folder / "vicuna")
    tokenizer.save_pretrained(folder / "vicuna")
    linear = {"llama_proj.weight": torch.randn(64, QUERY), "llama_proj.bias": torch.randn(64)}
    torch.save(eva_file(), folder / "eva_vit_g.pth")
    torch.save({"model": qformer_file()}, folder / "blip2_pretrained_flant5xxl.pth")
    torch.save({"model": linear, "epoch": 4}, folder / "pretrained_minigpt4_7b.pth")
    return {
        "eva": folder / "eva_vit_g.pth",
        "qformer": folder / "blip2_pretrained_flant5xxl.pth",
        "linear": folder / "pretrained_minigpt4_7b.pth",
        "vicuna": folder / "vicuna",
    }


SIZES = {
    "vision": Blip2VisionConfig(
        hidden_size=WIDE, intermediate_size=INNER, num_hidden_layers=BLOCKS - 1,
        num_attention_heads=2, image_size=28, patch_size=14,
    ),
    "query": Blip2QFormerConfig(
        hidden_size=QUERY, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        encoder_hidden_size=WIDE,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def converted(files, tmp_path_factory) -> MiniGPT4Backbone:
    out = convert_minigpt4(out=tmp_path_factory.mktemp("out"), **files, **SIZES)
    backbone = load_backbone(out, dtype=torch.float32)
    assert isinstance(backbone, MiniGPT4Backbone)
    return backbone


def _tensors(path: Path) -> dict[str, Tensor]:
    loaded = torch.load(path, weights_only=True)
    return loaded.get("model", loaded)


@torch.no_grad()
def test_it_sees_what_the_published_parts_see(converted, files, pictures):
    """Against EVA and the Q-Former written out from the published tensors."""
    eva, query, linear = (_tensors(files[name]) for name in ("eva", "qformer", "linear"))
    pixels = converted.processor.image_processor(pictures[:1], return_tensors="pt")["pixel_values"]

    def norm(states: Tensor, source: dict[str, Tensor], name: str, eps: float) -> Tensor:
        weight, bias = source[f"{name}.weight"], source[f"{name}.bias"]
        return F.layer_norm(states, weight.shape, weight, bias, eps)

    def attend(q: Tensor, k: Tensor, v: Tensor, heads: int = 2) -> Tensor:
        q, k, v = (part.unflatten(-1, (heads, -1)).transpose(0, 1) for part in (q, k, v))
        weights = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1)
        return (weights @ v).transpose(0, 1).flatten(1)

    patches = F.conv2d(
        pixels, eva["patch_embed.proj.weight"], eva["patch_embed.proj.bias"], stride=14
    )
    seen = torch.cat([eva["cls_token"][0], patches[0].flatten(1).T]) + eva["pos_embed"][0]
    for block in range(BLOCKS - 1):
        at = f"blocks.{block}"
        own = norm(seen, eva, f"{at}.norm1", 1e-6)
        bias = [eva[f"{at}.attn.q_bias"], torch.zeros(WIDE), eva[f"{at}.attn.v_bias"]]
        mixed = F.linear(own, eva[f"{at}.attn.qkv.weight"], torch.cat(bias))
        read = attend(*mixed.chunk(3, -1))
        seen = seen + F.linear(read, eva[f"{at}.attn.proj.weight"], eva[f"{at}.attn.proj.bias"])
        own = norm(seen, eva, f"{at}.norm2", 1e-6)
        inner = F.gelu(F.linear(own, eva[f"{at}.mlp.fc1.weight"], eva[f"{at}.mlp.fc1.bias"]))
        seen = seen + F.linear(inner, eva[f"{at}.mlp.fc2.weight"], eva[f"{at}.mlp.fc2.bias"])
    seen = norm(seen, query, "ln_vision", 1e-6)

    def dense(states: Tensor, name: str) -> Tensor:
        return F.linear(states, query[f"{name}.weight"], query[f"{name}.bias"])

    asked = norm(query["query_tokens"][0], query, "Qformer.bert.embeddings.LayerNorm", 1e-12)
    for layer in range(2):
        at = f"Qformer.bert.encoder.layer.{layer}"
        for kind in ("attention", "crossattention") if layer == 0 else ("attention",):
            source = asked if kind == "attention" else seen
            names = [f"{at}.{kind}.self.{part}" for part in ("query", "key", "value")]
            read = attend(*map(dense, (asked, source, source), names))
            out = f"{at}.{kind}.output"
            asked = norm(dense(read, f"{out}.dense") + asked, query, f"{out}.LayerNorm", 1e-12)
        inner = F.gelu(dense(asked, f"{at}.intermediate_query.dense"))
        out = f"{at}.output_query"
        asked = norm(dense(inner, f"{out}.dense") + asked, query, f"{out}.LayerNorm", 1e-12)
    expected = F.linear(asked, linear["llama_proj.weight"], linear["llama_proj.bias"])
    (found,) = converted.image_features(pictures[:1])
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


@torch.no_grad()
def test_it_speaks_as_vicuna(converted, files):
    vicuna = LlamaForCausalLM.from_pretrained(files["vicuna"], dtype=torch.float32)
    query = converted.query([None], ["Who are you?"])
    logits = vicuna(query.input_ids).logits
    torch.testing.assert_close(converted.logits(query)[..., : logits.shape[-1]], logits)


@torch.no_grad()
def test_pictures_stand_where_minigpt4_put_them(converted, pictures):
    query = converted.query(pictures[:1], ["What is this?"], ["a dog"])
    said = converted.tokenizer.decode(query.input_ids[0])
    seen = "<image>" * 32
    assert said == f"<s>###Human: <Img>{seen}</Img> What is this? ###Assistant: a dog</s>"
    assert query.spans.vision.sum() == 32
    other = converted.query(pictures[1:2], ["What is this?"], ["a dog"])
    assert not torch.allclose(converted.logits(query)[:, -1], converted.logits(other)[:, -1])


@pytest.mark.parametrize("wrong", ["linear", "qformer", "eva"])
def test_files_that_do_not_belong_together(files, tmp_path, wrong):
    tensors = _tensors(files[wrong])
    del tensors[next(iter(tensors))]
    torch.save(tensors, tmp_path / "short.pth")
    with pytest.raises(BadCheckpoint, match="EVA-ViT-g"):
        convert_minigpt4(out=tmp_path, **files | {wrong: tmp_path / "short.pth"}, **SIZES)
