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

On a CPU without instructions for the weights' dtype products are computed in float32 ("products" in
what is printed; see random_models.py).
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from own_pictures import own_pictures
from random_models import (
    SIZES,
    fitting,
    free_memory,
    multiply_in_float32,
    parts,
    random_model,
)
from torch import nn

from liveedit.backbones.base import Backbone
from liveedit.backbones.inspection import drawing
from liveedit.backbones.precision import fast_dtype
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
