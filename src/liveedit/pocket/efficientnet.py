"""EfficientNet-Lite: image to a grid of feature vectors.

The architecture is that of EfficientNet-Lite (Tan and Le, arXiv 1905.11946, in the variant without
squeeze-and-excitation and with ReLU6). Batch normalisation is folded into the convolutions when the
published weights are converted, so the network is plain convolutions and runs faster on a CPU.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

# kernel, stride, expansion, output channels, repeats; before width and depth scaling
_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
_STEM_CHANNELS = 32
_BATCH_NORM_EPS = 1e-3
STRIDE = 32  # pixels of a cell's side


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite without its classifier.

    Args:
        width: Width coefficient of the EfficientNet family (1.1 for Lite2).
        depth: Depth coefficient of the EfficientNet family (1.2 for Lite2).
        channels: Channels of the head.
    """

    def __init__(self, *, width: float, depth: float, channels: int) -> None:
        super().__init__()
        self.stem = _SameConv(3, _STEM_CHANNELS, kernel=3, stride=2)
        blocks: list[nn.Module] = []
        narrow = _STEM_CHANNELS
        for index, (kernel, stride, expansion, out, repeats) in enumerate(_STAGES):
            out = _round_channels(out * width)
            # the family keeps the depth of the first and the last stage fixed
            fixed = index in (0, len(_STAGES) - 1)
            for repeat in range(repeats if fixed else math.ceil(repeats * depth)):
                blocks.append(_Block(narrow, out, kernel, stride if repeat == 0 else 1, expansion))
                narrow = out
        self.blocks = nn.ModuleList(blocks)
        self.narrow = narrow
        self.head = _SameConv(narrow, channels, kernel=1)

    def cells(
        self, pixel_values: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch cells narrow"]:
        """The feature map before the head, one cell for 32 x 32 pixels, row after row."""
        hidden = F.relu6(self.stem(pixel_values))
        for block in self.blocks:
            hidden = block(hidden)
        return hidden.flatten(2).transpose(1, 2)

    def widen(
        self, cells: Float[Tensor, "batch cells narrow"]
    ) -> Float[Tensor, "batch cells channels"]:
        """The head, which looks at each cell by itself."""
        return F.relu6(F.linear(cells, self.head.weight[:, :, 0, 0], self.head.bias))


class _SameConv(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding: an odd pixel goes to the right and bottom."""

    def __init__(
        self, channels: int, out: int, *, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(channels, out, kernel, stride, groups=groups)

    def forward(self, input: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        if kernel == 1:
            return super().forward(input)
        rows, columns = (
            max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
            for size in input.shape[-2:]
        )
        if rows == columns and rows % 2 == 0:
            return F.conv2d(
                input, self.weight, self.bias, self.stride, rows // 2, groups=self.groups
            )
        edges = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
        return super().forward(F.pad(input, edges))


class _Block(nn.Module):
    """Inverted residual: widen, filter each channel by itself, narrow."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels * expansion
        self.expand = _SameConv(channels, wide, kernel=1) if expansion > 1 else None
        self.depthwise = _SameConv(wide, wide, kernel=kernel, stride=stride, groups=wide)
        self.project = _SameConv(wide, out, kernel=1)
        self.residual = stride == 1 and channels == out

    def forward(self, hidden: Tensor) -> Tensor:
        wide = hidden if self.expand is None else F.relu6(self.expand(hidden))
        narrow = self.project(F.relu6(self.depthwise(wide)))
        return hidden + narrow if self.residual else narrow


def fold_published_weights(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert the published EfficientNet-Lite state dict to this network's.

    Every batch normalisation is folded into the convolution before it:
    ``w' = w * gamma / sqrt(var + eps)``, ``b' = beta - mean * gamma / sqrt(var + eps)``.

    Args:
        published: State dict with the names of ``efficientnet-lite-pytorch``; the classifier's
            entries are ignored.

    Returns:
        State dict of :class:`EfficientNetLite`, float32.
    """
    pairs = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
    blocks = {int(name.split(".")[1]) for name in published if name.startswith("_blocks.")}
    for block in sorted(blocks):
        ours, theirs = f"blocks.{block}", f"_blocks.{block}"
        if f"{theirs}._expand_conv.weight" in published:
            pairs[f"{ours}.expand"] = (f"{theirs}._expand_conv", f"{theirs}._bn0")
        pairs[f"{ours}.depthwise"] = (f"{theirs}._depthwise_conv", f"{theirs}._bn1")
        pairs[f"{ours}.project"] = (f"{theirs}._project_conv", f"{theirs}._bn2")
    folded = {}
    for ours, (conv, norm) in pairs.items():
        scale = published[f"{norm}.weight"] / torch.sqrt(
            published[f"{norm}.running_var"] + _BATCH_NORM_EPS
        )
        folded[f"{ours}.weight"] = published[f"{conv}.weight"] * scale[:, None, None, None]
        folded[f"{ours}.bias"] = (
            published[f"{norm}.bias"] - published[f"{norm}.running_mean"] * scale
        )
    return folded


def _round_channels(channels: float, divisor: int = 8) -> int:
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded
