"""MiniGPT-4: BLIP-2's eyes (EVA-ViT-g, Q-Former), one linear layer, and Vicuna.

Its parts are transformers' own BLIP-2 parts with a LLaMA as language model. What was published is
four files (EVA-ViT-g, BLIP-2's Q-Former, the linear layer, Vicuna); :func:`convert_minigpt4` makes
one folder of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from transformers import (
    AutoTokenizer,
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    Blip2QFormerConfig,
    Blip2VisionConfig,
    BlipImageProcessor,
    LlamaConfig,
    LlamaForCausalLM,
)

from liveedit.backbones.blip2 import Blip2Backbone
from liveedit.backbones.query import History
from liveedit.errors import BadCheckpoint

FAMILY = "minigpt4"
_IMAGE_TOKEN = "<image>"
_QUERY_TOKENS = 32
_NOT_USED = (
    "norm.", "fc_norm.", "head.",  # of EVA, for classification: BLIP-2 has a norm of its own
    "rope.", "mask_token",
)  # fmt: skip
_EVA = {
    "cls_token": "embeddings.class_embedding",
    "pos_embed": "embeddings.position_embedding",
    "patch_embed.proj": "embeddings.patch_embedding",
    "blocks.": "encoder.layers.",
    ".norm1.": ".layer_norm1.",
    ".norm2.": ".layer_norm2.",
    ".attn.qkv.": ".self_attn.qkv.",
    ".attn.proj.": ".self_attn.projection.",
}
_QFORMER = {
    "Qformer.bert.embeddings.LayerNorm.": "qformer.layernorm.",
    "Qformer.bert.": "qformer.",
    ".attention.self.": ".attention.attention.",
    ".crossattention.self.": ".crossattention.attention.",
    "ln_vision.": "vision_model.post_layernorm.",
}


class MiniGPT4Backbone(Blip2Backbone):
    """A converted MiniGPT-4: its pictures stand inside the prompt, between ``<Img>`` marks.

    The prompt is the one MiniGPT-4 was trained with. An answer ends with LLaMA's end of sequence,
    not with the next ``###``, which is several tokens.
    """

    family = FAMILY

    def conversation_text(self, history: History, question: str, *, images: int) -> str:
        """Turns in MiniGPT-4's chat format."""
        if not history:
            return self.prompt_text(question, images=images)
        text, shown = self.tokenizer.bos_token, 0
        names = {"system": "", "user": "###Human: ", "assistant": "###Assistant: "}
        for message in history:
            text += names[message["role"]]
            for part in message["content"]:
                shown += part["type"] == "image"
                text += (
                    f"<Img>{self.marker}</Img> "
                    if part["type"] == "image"
                    else f"{self.checked(part['text'])} "
                )
        last = self.prompt_text(question, images=images - shown)
        return text + last.removeprefix(self.tokenizer.bos_token)

    def prompt_text(self, question: str, *, images: int) -> str:
        """Start of the sequence, pictures, question, in MiniGPT-4's chat format."""
        seen = f"<Img>{self.marker}</Img> " * images
        start = self.tokenizer.bos_token
        return f"{start}###Human: {seen}{self.checked(question)} ###Assistant:"


def minigpt4_state(
    eva: Mapping[str, Tensor],
    qformer: Mapping[str, Tensor],
    linear: Mapping[str, Tensor],
    language_model: Mapping[str, Tensor],
    *,
    vision_layers: int,
) -> dict[str, Tensor]:
    """The published tensors under the names of ``Blip2ForConditionalGeneration``.

    Args:
        eva: Of ``eva_vit_g.pth``.
        qformer: Under ``model`` in ``blip2_pretrained_flant5xxl.pth``: Q-Former, query tokens and
            ``ln_vision``; what else is there is left out.
        linear: Under ``model`` in MiniGPT-4's own file: ``llama_proj``.
        language_model: Of Vicuna, as ``LlamaForCausalLM`` names them.
        vision_layers: How many of EVA's blocks are used: all but the last.
    """
    state = {f"language_model.{name}": value for name, value in language_model.items()}
    for part in ("weight", "bias"):
        state[f"language_projection.{part}"] = linear[f"llama_proj.{part}"]
    for name, value in qformer.items():
        kept = name.startswith(("Qformer.bert.", "ln_vision.")) or name == "query_tokens"
        text_branch = ".intermediate." in name or (
            ".output." in name and ".attention." not in name and ".crossattention." not in name
        )
        if kept and not text_branch and "_embeddings." not in name and "position_ids" not in name:
            state[_renamed(name, _QFORMER)] = value
    for name, value in eva.items():
        block = int(name.split(".")[1]) if name.startswith("blocks.") else 0
        if block < vision_layers and not name.startswith(_NOT_USED) and "_bias" not in name:
            state[f"vision_model.{_renamed(name, _EVA)}"] = value
    for block in range(vision_layers):
        query, value = (eva[f"blocks.{block}.attn.{part}_bias"] for part in "qv")
        bias = torch.cat([query, torch.zeros_like(query), value])  # keys have none
        state[f"vision_model.encoder.layers.{block}.self_attn.qkv.bias"] = bias
    return state


def convert_minigpt4(
    *,
    eva: str | Path,
    qformer: str | Path,
    linear: str | Path,
    vicuna: str | Path,
    out: str | Path,
    vision: Blip2VisionConfig | None = None,
    query: Blip2QFormerConfig | None = None,
) -> Path:
    """Make a folder that ``load_backbone`` reads out of the published files; nothing is fetched.

    Args:
        eva: ``eva_vit_g.pth``.
        qformer: ``blip2_pretrained_flant5xxl.pth``.
        linear: ``pretrained_minigpt4_7b.pth`` or the like.
        vicuna: Folder of Vicuna in transformers' format, with its tokenizer.
        out: Made; float16, as Vicuna is.
        vision: Sizes of EVA; those of EVA-ViT-g at 224 pixels by default.
        query: Sizes of the Q-Former; BLIP-2's by default.

    Raises:
        BadCheckpoint: The files are not of these parts, or do not fit together.
    """
    text = LlamaConfig.from_pretrained(vicuna, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(vicuna, local_files_only=True)
    tokenizer.add_tokens([_IMAGE_TOKEN], special_tokens=True)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.unk_token or tokenizer.eos_token
    config = Blip2Config(
        vision_config=(vision or Blip2VisionConfig()).to_dict(),
        qformer_config=(query or Blip2QFormerConfig()).to_dict(),
        text_config=text.to_dict(),
        num_query_tokens=_QUERY_TOKENS,
        image_token_index=tokenizer.convert_tokens_to_ids(_IMAGE_TOKEN),
        liveedit_family=FAMILY,
    )
    dtype = text.dtype or torch.float16
    language_model = LlamaForCausalLM.from_pretrained(vicuna, local_files_only=True, dtype=dtype)
    language_model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    config.text_config.vocab_size = len(tokenizer)
    with torch.device("meta"):
        model = Blip2ForConditionalGeneration(config)
    try:
        state = minigpt4_state(
            _tensors(eva),
            _tensors(qformer),
            _tensors(linear),
            language_model.state_dict(),
            vision_layers=config.vision_config.num_hidden_layers,
        )
        model.load_state_dict({name: value.to(dtype) for name, value in state.items()}, assign=True)
    except (KeyError, RuntimeError) as error:
        raise BadCheckpoint(
            f"these files do not make a MiniGPT-4 ({error}); give EVA-ViT-g, BLIP-2's Q-Former, "
            "MiniGPT-4's linear layer and Vicuna of the same size"
        ) from error
    size = {"height": config.vision_config.image_size, "width": config.vision_config.image_size}
    processor = Blip2Processor(
        BlipImageProcessor(size=size), tokenizer, num_query_tokens=_QUERY_TOKENS
    )
    model.save_pretrained(out)
    processor.save_pretrained(out)
    return Path(out)


def _tensors(path: str | Path) -> dict[str, Tensor]:
    """A published file; tensors alone are read, no code."""
    loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    return loaded.get("model", loaded)


def _renamed(name: str, rules: Mapping[str, str]) -> str:
    for old, new in rules.items():
        name = name.replace(old, new)
    return name
