"""Throughput of vLLM with edits against vLLM without the plugin, with random weights.

    python benchmarks/gpu_vllm.py --out results/gpu-vllm            # LLaVA-1.5-7B's shape, a GPU
    python benchmarks/gpu_vllm.py --out /tmp/vllm --size small      # 137 M parameters, on a CPU

Run on a CPU alone so far (results/vllm). It runs in vLLM's environment (docs/vllm.md); nothing is
fetched. Two engines take turns on the same questions about pictures, all sent at once: one without
the plugin, one with it, whose requests ask for three sets of edits: none; 1,000 edits none of which
concerns them; 1,000 edits of which three concern every request. What is measured is time: with
random weights answers are noise, and lengths are fixed. The figures are medians over rounds of the
ratio to the engine without the plugin.

The time no longer suffices for another round after ``--seconds``; OUT/vllm.json is written anew
after every round. Both engines keep a share of the memory, so that they can be there together.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

EDITS, CONCERNED, SLOTS = 1_000, 3, 6
NONE, SOME, ALL = "nothing", "others", "everyone"
WORDS = "Tell me about the picture: what is there to be seen, who made it, and where is it now?"


@dataclass(frozen=True, kw_only=True)
class Size:
    """A model and how it is asked.

    Args:
        text: Of the language model.
        vision: Of the vision tower.
        requests: At once.
        tokens: Of each answer.
        options: For vLLM.
    """

    text: dict[str, int]
    vision: dict[str, int]
    requests: int
    tokens: int
    options: dict[str, Any]


SIZES = {
    "llava-1.5-7b": Size(
        text={"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
              "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 32064},
        vision={"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
                "num_attention_heads": 16, "image_size": 336, "patch_size": 14},
        requests=256,
        tokens=64,
        options={"dtype": "bfloat16", "gpu_memory_utilization": 0.42, "max_num_seqs": 256},
    ),
    "small": Size(
        text={"hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 12,
              "num_attention_heads": 12, "num_key_value_heads": 12, "vocab_size": 32064},
        vision={"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 4,
                "num_attention_heads": 4, "image_size": 112, "patch_size": 14},
        requests=16,
        tokens=24,
        options={"dtype": "float32", "max_num_seqs": 16},
    ),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", choices=SIZES, default="llava-1.5-7b")
    parser.add_argument("--seconds", type=float, default=480.0)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    started, size = time.monotonic(), SIZES[given.size]
    os.environ |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "HF_HUB_OFFLINE": "1",
                   "VLLM_CPU_KVCACHE_SPACE": "1"}  # fmt: skip
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parameters = write_model(folder / "model", size)
        write_edits(folder, size)
        plain = engine(folder, size, edits=False)
        edited = engine(folder, size, edits=True)
        asks = {"without the plugin": (plain, None)} | {
            f"edits for {which}": (edited, which) for which in (NONE, SOME, ALL)
        }
        rounds: list[dict[str, float]] = []
        for number in range(given.rounds + 1):
            begun = time.monotonic()
            found = {what: rate(llm, size, which) for what, (llm, which) in asks.items()}
            if number:  # the first warms up
                rounds.append(found)
                report(given.out, given.size, edited, parameters, rounds)
            if time.monotonic() - started + 1.5 * (time.monotonic() - begun) > given.seconds:
                break


def write_model(folder: Path, size: Size) -> int:
    """Configuration, tokenizer and processor; vLLM draws the weights, of which so many there are.

    They are counted here: on a CPU vLLM packs them anew, and has no parameters of most of them.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        GenerationConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )

    special = ["<unk>", "<s>", "</s>", "<image>", "<pad>"]
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator([WORDS], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>", pad_token="<pad>",
        extra_special_tokens=["<image>"],
    )  # fmt: skip
    image = tokenizer.convert_tokens_to_ids("<image>")
    edge = size.vision["image_size"]
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**size.vision),
        text_config=LlamaConfig(**size.text, max_position_embeddings=4096),
        image_token_index=image,
    )
    config.architectures = ["LlavaForConditionalGeneration"]
    config.save_pretrained(folder)
    GenerationConfig(eos_token_id=tokenizer.eos_token_id).save_pretrained(folder)
    LlavaProcessor(
        CLIPImageProcessor(size={"shortest_edge": edge}, crop_size={"height": edge, "width": edge}),
        tokenizer,
        patch_size=size.vision["patch_size"],
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    ).save_pretrained(folder)
    with torch.device("meta"):
        return sum(one.numel() for one in LlavaForConditionalGeneration(config).parameters())


def write_edits(folder: Path, size: Size) -> None:
    """An editor that takes every question for the edit's, and two sets of edits."""
    from liveedit.methods.liveedit.checkpoint import editor_digest, save_editor
    from liveedit.methods.liveedit.config import EditorConfig
    from liveedit.methods.liveedit.network import EditorNetwork
    from liveedit.methods.liveedit.tensors import layout_of
    from liveedit.store.edit import Edit
    from liveedit.store.records import Identity
    from liveedit.store.sql import SqlStore
    from liveedit.store.tensors import Keys

    torch.manual_seed(0)
    width, layers = size.text["hidden_size"], size.text["num_hidden_layers"]
    network = EditorNetwork(EditorConfig(), width).eval()
    network.router.margin.fill_(-1000.0)
    network.router.prompt_bias.data.fill_(20.0)
    fingerprint: dict[str, object] = {
        "family": "llava",
        "width": width,
        "layers": layers,
        "vocabulary": size.text["vocab_size"],
        "edit_layer": round(layers * 2 / 3),
        "weights": None,
    }
    save_editor(network, fingerprint, folder / "editor")
    layout = layout_of(network.config, width)
    learned = {"editor": editor_digest(network)}
    identity = Identity(fingerprint=fingerprint | learned, method="liveedit", layout=layout)
    store = SqlStore(folder / "edits.db", identity)
    for namespace, pictured in ((SOME, 0), (ALL, CONCERNED)):
        edits = [
            Edit(
                prompt=f"question {number}",
                target="answer",
                image=f"picture {number}" if number < pictured else None,
                namespace=namespace,
            )
            for number in range(EDITS)
        ]
        keys = {
            name: torch.nn.functional.normalize(torch.randn(EDITS, length), dim=-1)
            for name, length in layout.keys.items()
        }
        sees = torch.arange(EDITS) < pictured
        values = {
            name: [torch.randn(SLOTS, width).half() for _ in range(EDITS)] for name in ("u", "v")
        }
        store.add(edits, Keys(vectors=keys, sees=sees), values)
    store.close()


def engine(folder: Path, size: Size, *, edits: bool) -> Any:
    """A vLLM with the plugin at work, or without."""
    from vllm import LLM

    settings = {"editor": str(folder / "editor"), "store": str(folder / "edits.db"),
                "namespaces": [NONE, SOME, ALL]}  # fmt: skip
    return LLM(
        str(folder / "model"),
        load_format="dummy",
        enforce_eager=True,
        enable_prefix_caching=False,
        enable_chunked_prefill=False,
        max_model_len=1024,
        limit_mm_per_prompt={"image": 1},
        additional_config={"liveedit": settings} if edits else {},
        **size.options,
    )


def rate(llm: Any, size: Size, namespace: str | None) -> float:
    """Tokens a second of answers to questions that are sent at once."""
    from vllm import SamplingParams

    random = np.random.default_rng(0)
    edge = size.vision["image_size"]
    pictures = [
        Image.fromarray(random.integers(0, 256, (edge, edge, 3), dtype=np.uint8))
        for _ in range(size.requests)
    ]
    asked = [
        {"prompt": f"USER: <image>\n{WORDS} ASSISTANT:", "multi_modal_data": {"image": one}}
        for one in pictures
    ]
    fields = {} if namespace is None else {"liveedit_namespace": namespace}
    params = SamplingParams(
        temperature=0.0, max_tokens=size.tokens, ignore_eos=True, extra_args=fields
    )
    begun = time.perf_counter()
    answers = llm.generate(asked, params, use_tqdm=False)
    passed = time.perf_counter() - begun
    return sum(len(one.outputs[0].token_ids) for one in answers) / passed


def report(out: Path, name: str, llm: Any, parameters: int, rounds: list[dict[str, float]]) -> None:
    """Write and print what was found so far."""
    import vllm

    runner = llm.llm_engine.model_executor.driver_worker.worker.model_runner
    base = "without the plugin"
    found = {
        "size": name,
        "parameters": parameters,
        "device": str(runner.device),
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
        "vllm": vllm.__version__,
        "rounds": len(rounds),
        "tokens a second": {w: statistics.median(r[w] for r in rounds) for w in rounds[0]},
        "ratio": {w: statistics.median(r[w] / r[base] for r in rounds) for w in rounds[0]},
        "ratios": {w: [round(r[w] / r[base], 3) for r in rounds] for w in rounds[0]},
    }
    (out / "vllm.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(found["ratio"]), flush=True)


if __name__ == "__main__":
    main()
