"""Quantised decoders for ``gpu.py``: by torchao, which runs anywhere, or bitsandbytes, on a GPU.

Weights are random, so what is measured is time and memory, and that edits are made and hold. The
two kinds of bitsandbytes have not been run: they are prepared for a machine with a GPU.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import nn
from transformers import PreTrainedModel

Quantisation = Literal["torchao-int8", "bitsandbytes-int8", "bitsandbytes-nf4"]
KINDS: tuple[str, ...] = get_args(Quantisation)


def quantise(model: PreTrainedModel, kind: Quantisation, device: torch.device) -> None:
    """Quantise the linear layers of a model's decoder, in place; the output embeddings stay."""
    decoder = model.get_decoder()
    if kind == "torchao-int8":
        from torchao.quantization import Int8WeightOnlyConfig, quantize_

        quantize_(decoder, Int8WeightOnlyConfig())
        return
    for parent in list(decoder.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear:
                setattr(parent, name, _by_bitsandbytes(child, kind).to(device))


def _by_bitsandbytes(linear: nn.Linear, kind: Quantisation) -> nn.Module:
    """The same layer; bitsandbytes quantises it when it is moved to the GPU."""
    import bitsandbytes as bnb

    weight = linear.weight.detach().cpu()
    sizes = linear.in_features, linear.out_features
    if kind == "bitsandbytes-nf4":
        made = bnb.nn.Linear4bit(
            *sizes,
            bias=linear.bias is not None,
            compute_dtype=linear.weight.dtype,
            quant_type="nf4",
        )
        made.weight = bnb.nn.Params4bit(weight, requires_grad=False, quant_type="nf4")
    else:
        made = bnb.nn.Linear8bitLt(
            *sizes, bias=linear.bias is not None, has_fp16_weights=False, threshold=6.0
        )
        made.weight = bnb.nn.Int8Params(weight.half(), requires_grad=False, has_fp16_weights=False)
    if linear.bias is not None:
        made.bias = linear.bias
    return made
