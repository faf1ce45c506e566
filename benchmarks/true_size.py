"""One edit and one answer of a model at its true width, with random weights, on this machine.

What it shows is that the size works, how long it takes and what it needs; not what an edit is
worth, for weights and editor are random. Nothing is fetched.

    python benchmarks/true_size.py llava-1.5-7b --json
    python benchmarks/true_size.py minigpt4-vicuna-7b --layers 16
    python benchmarks/true_size.py llava-1.5-7b --calibrate 16   # with a calibrated editor
    python benchmarks/true_size.py blip2-opt-2.7b --narrow   # a trial of the script, in seconds

In bfloat16 LLaVA-1.5-7B takes 16 GB at its peak, MiniGPT-4 with Vicuna-7B 17 GB, BLIP-2 with
OPT-2.7B 10 GB. Without --layers there are as many decoder layers as fit into the memory that is
free.

On a CPU without instructions for the weights' dtype a matrix product of many rows is emulated,
seven times slower than in float32. There each layer's weights are converted when they are needed,
and its product is computed in float32 ("products" in what is printed); they stay as they are in
memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MethodType

import torch
from own_pictures import own_pictures
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

from liveedit.backbones.base import Backbone
from liveedit.backbones.inspection import drawing
from liveedit.backbones.precision import fast_dtype
from liveedit.backbones.processors import for_pictures
from liveedit.backbones.registry import backbone_class
from liveedit.editor import EditedModel
from liveedit.methods.liveedit.config import EditorConfig, LiveEditConfig
from liveedit.methods.liveedit.method import LiveEdit
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.methods.liveedit.representation import measure_scale
from liveedit.training.calibrated_editor import CalibrationSettings, calibrate_editor
from liveedit.training.calibration_data import calibration_data

PAPER = EditorConfig(
    width=1024, heads=8, rank=4, vectors=4, dropout=0.0, shared_extractor=False,
    unit_features=False, aligned_slots=False, prompt_filter=False, joint_relative=False,
    text_router=False,
)  # fmt: skip
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


def edited_model(backbone: Backbone, *, refine: int) -> EditedModel:
    """An untrained editor of the paper's size that lets every expert through."""
    network = EditorNetwork(PAPER, backbone.width)
    query = backbone.query([drawing()], ["What is this?"])
    network.set_scale(measure_scale(backbone.states(query)[query.attention_mask.bool()]))
    network.router.margin.fill_(-1e6)
    nn.init.constant_(network.router.prompt_bias, 5.0)
    nn.init.normal_(network.generator.v_attention.output.bias, std=100.0)  # or nothing is felt
    return EditedModel(LiveEdit(backbone, network, LiveEditConfig(refine_steps=refine)))


def calibrated_model(backbone: Backbone, pictures: int, refine: int) -> EditedModel:
    """A calibrated editor, from so many pictures with a question each."""
    settings = CalibrationSettings()
    with tempfile.TemporaryDirectory() as folder:
        file = own_pictures(Path(folder), pictures, size=336, each=1)
        data = calibration_data(
            file, corrections=settings.corrections, validation=settings.validation
        )
        made = calibrate_editor(backbone, data, settings)
    return EditedModel(LiveEdit(backbone, made.network, LiveEditConfig(refine_steps=refine)))


def timed(what: Callable[[], object]) -> tuple[object, float]:
    """The result, and seconds."""
    began = time.perf_counter()
    return what(), round(time.perf_counter() - began, 2)


def measure(
    name: str,
    *,
    layers: int | None,
    narrow: bool,
    dtype: torch.dtype,
    refine: int,
    tokens: int,
    calibrate: int = 0,
) -> dict[str, object]:
    """Build the model, make one edit, generate one answer."""
    torch.manual_seed(0)
    size = SIZES[name]
    layers = layers or fitting(size, narrow=narrow, dtype=dtype, free=free_memory())
    config, processor = parts(size, narrow=narrow, layers=layers)
    family = backbone_class(size.family)
    model, building = timed(lambda: random_model(config, dtype))
    emulated = dtype.itemsize < 4 and fast_dtype("cpu") == torch.float32
    if emulated:
        multiply_in_float32(model)
    backbone = family(
        model,  # type: ignore[arg-type]
        processor,
        edit_layer=family.default_edit_layer(layers),
        name=f"random {name}",
    )
    edited, preparing = timed(
        lambda: (
            calibrated_model(backbone, calibrate, refine)
            if calibrate
            else edited_model(backbone, refine=refine)
        )
    )
    assert isinstance(edited, EditedModel)
    picture, question = drawing(), "What is this?"
    options = {"max_new_tokens": tokens, "min_new_tokens": tokens}
    _, answering = timed(lambda: edited.generate(picture, question, **options))
    _, editing = timed(lambda: edited.edit(picture, question, "a red circle", keep=True))
    _, edited_answering = timed(lambda: edited.generate(picture, question, **options))
    query = backbone.query([picture], [question], ["a red circle"])
    states = backbone.states(query)
    method, store = edited.method, edited.store
    assert isinstance(method, LiveEdit)
    after, before = (
        method.target_logits(query, states, pool) for pool in (store.pool(), store.pool(()))
    )
    (routed,) = edited.explain(picture, question)
    return {
        "model": name,
        "narrow": narrow,
        "dtype": str(dtype).removeprefix("torch."),
        "products": "float32" if emulated else str(dtype).removeprefix("torch."),
        "layers": layers,
        "edit_layer": backbone.edit_layer,
        "parameters": sum(one.numel() for one in backbone.model.parameters()),
        "editor_parameters": sum(one.numel() for one in edited.method.network.parameters()),
        "image_tokens": len(backbone.image_features([picture])[0]),
        "threads": torch.get_num_threads(),
        "tokens": tokens,
        "refine_steps": refine,
        "calibrated_on": calibrate,
        "seconds": {
            "model": building,
            "editor": preparing,
            "answer_before": answering,
            "edit": editing,
            "answer": edited_answering,
        },
        "weight": routed.weight,
        "logits_moved": (after - before).abs().max().item(),
        "peak_memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.split("\n")[0])  # type: ignore[union-attr]
    asked.add_argument("model", choices=list(SIZES))
    asked.add_argument("--layers", type=int, help="decoder layers; as many as fit")
    asked.add_argument("--narrow", action="store_true", help="a tiny width, to try the script")
    asked.add_argument("--dtype", choices=["bfloat16", "float16", "float32"], default="bfloat16")
    asked.add_argument("--refine-steps", type=int, default=0, help="gradient steps of the edit")
    asked.add_argument("--tokens", type=int, default=8, help="of the answer")
    asked.add_argument(
        "--calibrate", type=int, default=0, help="pictures to calibrate the editor on, 16 or more"
    )
    asked.add_argument("--json", action="store_true", help="print JSON for programs")
    args = asked.parse_args()
    found = measure(
        args.model,
        layers=args.layers,
        narrow=args.narrow,
        dtype=getattr(torch, args.dtype),
        refine=args.refine_steps,
        tokens=args.tokens,
        calibrate=args.calibrate,
    )
    if args.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:18} {value}")


if __name__ == "__main__":
    main()
