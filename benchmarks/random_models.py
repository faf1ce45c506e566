"""Models at their true width, with random weights and the processors of their families.

Nothing is fetched.

On a CPU without instructions for the weights' dtype a matrix product of many rows is emulated,
seven times slower than in float32. There each layer's weights are converted when they are needed,
and its product is computed in float32; they stay as they are in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MethodType

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import (
    AutoModelForImageTextToText,
    Blip2Config,
    Blip2Processor,
    BlipImageProcessor,
    CLIPImageProcessor,
    LlavaConfig,
    LlavaProcessor,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    ProcessorMixin,
    Qwen2_5_VLConfig,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
)
from transformers.initialization import no_init_weights

from liveedit.backbones.processors import for_pictures

CHAT = (
    "{% for m in messages %}{{ 'USER: ' }}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}{{ '<image>\\n' }}{% else %}{{ c['text'] + ' ' }}{% endif %}"
    "{% endfor %}{% endfor %}{{ 'ASSISTANT:' }}"
)
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' }}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}{{ '<|vision_start|><|image_pad|><|vision_end|>' }}"
    "{% else %}{{ c['text'] }}{% endif %}{% endfor %}{{ '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
FEW = 16  # rows for which reading the weights takes longer than multiplying
SPARE = 2 * 10**9  # bytes of memory for all but the weights


@dataclass(frozen=True, kw_only=True)
class Size:
    """A model's sizes.

    Args:
        family: Of the backbone.
        text: Configuration of the language model.
        narrow: What makes it small enough for a trial.
    """

    family: str
    text: dict[str, object]
    narrow: dict[str, object]


_LLAMA = {
    "model_type": "llama", "vocab_size": 32064, "hidden_size": 4096, "intermediate_size": 11008,
    "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32,
    "max_position_embeddings": 4096,
}  # fmt: skip
_OPT = {
    "model_type": "opt", "vocab_size": 50304, "hidden_size": 2560, "word_embed_proj_dim": 2560,
    "ffn_dim": 10240, "num_hidden_layers": 32, "num_attention_heads": 32,
}  # fmt: skip
_QWEN = {
    "vocab_size": 152064, "hidden_size": 3584, "intermediate_size": 18944,
    "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4,
    "max_position_embeddings": 32768, "rms_norm_eps": 1e-6,
    "rope_parameters": {
        "rope_type": "default", "mrope_section": [16, 24, 24], "rope_theta": 1e6,
    },
}  # fmt: skip
_NARROW = {"hidden_size": 64, "num_attention_heads": 4, "vocab_size": 320, "num_hidden_layers": 6}
SIZES = {
    "llava-1.5-7b": Size(
        family="llava",
        text=_LLAMA,
        narrow=_NARROW | {"intermediate_size": 96, "num_key_value_heads": 4},
    ),
    "blip2-opt-2.7b": Size(
        family="blip-2", text=_OPT, narrow=_NARROW | {"word_embed_proj_dim": 64, "ffn_dim": 96}
    ),
    "minigpt4-vicuna-7b": Size(
        family="minigpt4",
        text=_LLAMA,
        narrow=_NARROW | {"intermediate_size": 96, "num_key_value_heads": 4},
    ),
    "qwen2.5-vl-7b": Size(
        family="qwen2_5_vl",
        text=_QWEN,
        narrow=_NARROW
        | {
            "intermediate_size": 96,
            "num_key_value_heads": 2,
            "rope_parameters": _QWEN["rope_parameters"] | {"mrope_section": [2, 3, 3]},
        },
    ),
}
_LLAMA_TOKENS = ("<unk>", "<s>", "</s>", "<image>", "<pad>")
_QWEN_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>",
    "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip


def tokenizer(
    special: Sequence[str] = _LLAMA_TOKENS,
    *,
    bos: str | None = "<s>",
    eos: str = "</s>",
    pad: str = "<pad>",
) -> PreTrainedTokenizerFast:
    """A token for every byte: the true vocabularies are not at hand, and their size is."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*special, *alphabet]
    made = Tokenizer(models.BPE({word: number for number, word in enumerate(words)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(list(special))
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token=bos, eos_token=eos, pad_token=pad,
        extra_special_tokens=[one for one in special if one not in (bos, eos, pad)],
    )  # fmt: skip


def parts(size: Size, *, narrow: bool, layers: int) -> tuple[PreTrainedConfig, ProcessorMixin]:
    """Configuration and processor."""
    if size.family == "qwen2_5_vl":
        return _qwen_parts(size, narrow=narrow, layers=layers)
    words = tokenizer()
    ids = {name: getattr(words, name) for name in ("pad_token_id", "bos_token_id", "eos_token_id")}
    text = {**size.text, **(size.narrow if narrow else {}), **ids, "num_hidden_layers": layers}
    image = words.convert_tokens_to_ids("<image>")
    small = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    eyes = {**small, "num_attention_heads": 2} if narrow else {}
    if size.family == "llava":
        vision = {
            "model_type": "clip_vision_model", "hidden_size": 1024, "intermediate_size": 4096,
            "num_hidden_layers": 24, "num_attention_heads": 16, "image_size": 336,
            "patch_size": 14, **eyes,
        }  # fmt: skip
        config = LlavaConfig(vision_config=vision, text_config=text, image_token_index=image)
        square = {"height": 336, "width": 336}
        processor = LlavaProcessor(
            CLIPImageProcessor(size={"shortest_edge": 336}, crop_size=square), words,
            patch_size=14, vision_feature_select_strategy="default",
            num_additional_image_tokens=1, chat_template=CHAT,
        )  # fmt: skip
        return config, processor
    qformer = {**small, "num_attention_heads": 2} if narrow else {}
    config = Blip2Config(
        vision_config=eyes, qformer_config=qformer, text_config=text, image_token_index=image,
        liveedit_family=size.family,
    )  # fmt: skip
    images = BlipImageProcessor(size={"height": 224, "width": 224})
    return config, Blip2Processor(images, words, num_query_tokens=config.num_query_tokens)


def _qwen_parts(
    size: Size, *, narrow: bool, layers: int
) -> tuple[PreTrainedConfig, ProcessorMixin]:
    """Those of Qwen2.5-VL, whose pictures keep their own resolution."""
    words = tokenizer(_QWEN_TOKENS, bos=None, eos="<|im_end|>", pad="<|endoftext|>")
    ends = {name: getattr(words, name) for name in ("pad_token_id", "bos_token_id", "eos_token_id")}
    text = {**size.text, **(size.narrow if narrow else {}), **ends, "num_hidden_layers": layers}
    small = {
        "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2,
        "fullatt_block_indexes": [1],
    }  # fmt: skip
    vision = {
        "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16,
        "fullatt_block_indexes": [7, 15, 23, 31], "window_size": 112,
        "out_hidden_size": text["hidden_size"], **(small if narrow else {}),
    }  # fmt: skip
    ids = {
        f"{name}_token_id": words.convert_tokens_to_ids(f"<|{token}|>")
        for name, token in (
            ("image", "image_pad"), ("video", "video_pad"),
            ("vision_start", "vision_start"), ("vision_end", "vision_end"),
        )
    }  # fmt: skip
    config = Qwen2_5_VLConfig(vision_config=vision, text_config=text, **ids)
    images = Qwen2VLImageProcessor(size={"shortest_edge": 56**2, "longest_edge": 1792**2})
    return config, for_pictures(Qwen2_5_VLProcessor)(images, words, chat_template=CHATML)


def count(config: PreTrainedConfig) -> int:
    """Parameters of a model."""
    with torch.device("meta"):
        made = AutoModelForImageTextToText.from_config(config)
    return sum(one.numel() for one in made.parameters())


def fitting(size: Size, *, narrow: bool, dtype: torch.dtype, free: int) -> int:
    """As many decoder layers as fit, at most those of the true model."""
    most = int((size.narrow if narrow else size.text)["num_hidden_layers"])  # type: ignore[call-overload]
    one, two = (count(parts(size, narrow=narrow, layers=number)[0]) for number in (1, 2))
    room = (free - SPARE) // dtype.itemsize - one
    return max(min(most, 1 + room // (two - one)), 3)


def free_memory() -> int:
    """Bytes that can be had without swapping."""
    with open("/proc/meminfo") as file:
        known = dict(line.split(":") for line in file)
    return int(known["MemAvailable"].split()[0]) * 1024


@torch.no_grad()
def random_model(config: PreTrainedConfig, dtype: torch.dtype) -> PreTrainedModel:
    """Weights that are copies of one random block: drawing billions of numbers takes minutes."""
    with no_init_weights():
        model = AutoModelForImageTextToText.from_config(config, dtype=dtype)
    block = (0.02 * torch.randn(2**20)).to(dtype)
    for name, value in model.named_parameters():
        flat = value.view(-1)
        if value.ndim == 1:
            flat.fill_(1.0 if name.endswith("weight") else 0.0)  # of a norm, or a bias
            continue
        for start in range(0, len(flat), len(block)):
            piece = flat[start : start + len(block)]
            piece.copy_(block[: len(piece)])
    return model.requires_grad_(False)


def multiply_in_float32(model: nn.Module) -> None:
    """Linear layers convert their weights to float32 for products of many rows, one at a time."""

    def product(layer: nn.Linear, rows: Tensor) -> Tensor:
        if rows[..., 0].numel() < FEW:
            return F.linear(rows, layer.weight, layer.bias)
        bias = None if layer.bias is None else layer.bias.float()
        return F.linear(rows.float(), layer.weight.float(), bias).to(rows.dtype)

    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            layer.forward = MethodType(product, layer)  # type: ignore[method-assign]
