"""MEND's network: from the factors of a gradient to the factors of an edit.

Modules of the same shape share a network; each has its own scale and shift within it, and its own
edit rate (Mitchell et al., ICLR 2022, equations 3 and 4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from liveedit.methods.mend.config import MendNetworkConfig
from liveedit.methods.mend.gradients import Gradient
from liveedit.methods.shared.weights.weight_change import LowRank

_TINY = 1e-12


class ResidualLayer(nn.Module):
    """``z + relu(s * (U V z + b) + o)``; the identity as long as U, b and o are zero.

    Args:
        width: Of z.
        rank: Of ``U V``.
        modules: How many modules there are, each with its own scale s and shift o.
    """

    def __init__(self, width: int, rank: int, modules: int) -> None:
        super().__init__()
        self.v = nn.Parameter(torch.randn(width, rank) * width**-0.5)
        self.u = nn.Parameter(torch.zeros(rank, width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.scale = nn.Parameter(torch.ones(modules, width))
        self.shift = nn.Parameter(torch.zeros(modules, width))

    def forward(
        self, z: Float[Tensor, "tokens width"], module: int
    ) -> Float[Tensor, "tokens width"]:
        """One layer, for the module of a number."""
        inner = z @ self.v @ self.u + self.bias
        return z + torch.relu(self.scale[module] * inner + self.shift[module])


class GradientTransform(nn.Module):
    """Two residual layers over a token's input and gradient, one behind the other.

    Args:
        wide: Numbers that the modules take.
        high: Numbers that they give.
        rank: Of each layer.
        modules: How many modules share it.
    """

    def __init__(self, wide: int, high: int, rank: int, modules: int) -> None:
        super().__init__()
        self.wide = wide
        for name, width in (("input", wide), ("output", high)):
            self.register_buffer(f"{name}_mean", torch.zeros(width))
            self.register_buffer(f"{name}_std", torch.ones(width))
        self.first = ResidualLayer(wide + high, rank, modules)
        self.second = ResidualLayer(wide + high, rank, modules)

    def normalised(self, gradient: Gradient) -> Float[Tensor, "tokens width"]:
        """Both factors of each token as they usually are: mean 0 and standard deviation 1."""
        parts = []
        for name, part in (("input", gradient.inputs), ("output", gradient.outputs)):
            mean, std = getattr(self, f"{name}_mean"), getattr(self, f"{name}_std")
            parts.append((part - mean) / (std + _TINY))
        return torch.cat(parts, 1)

    def forward(
        self, gradient: Gradient, module: int
    ) -> tuple[Float[Tensor, "tokens wide"], Float[Tensor, "tokens high"]]:
        """Transformed factors of the module of a number."""
        z = self.second(self.first(self.normalised(gradient), module), module)
        return z[:, : self.wide], z[:, self.wide :]

    def measure(self, gradients: Gradient) -> None:
        """Take means and deviations from gradients of many tokens."""
        for name, part in (("input", gradients.inputs), ("output", gradients.outputs)):
            getattr(self, f"{name}_mean").copy_(part.mean(0))
            getattr(self, f"{name}_std").copy_(part.std(0))


class MendNetwork(nn.Module):
    """Networks for all shapes, and an edit rate for each module.

    Args:
        sizes: How many numbers each module gives and takes, by its path.
        config: Sizes.
    """

    def __init__(self, sizes: Mapping[str, tuple[int, int]], config: MendNetworkConfig) -> None:
        super().__init__()
        self.config, self.sizes = config, dict(sizes)
        shapes: dict[tuple[int, int], list[str]] = {}
        for path, shape in self.sizes.items():
            shapes.setdefault(shape, []).append(path)
        self.transforms = nn.ModuleDict()
        self.place: dict[str, tuple[str, int]] = {}
        for (high, wide), paths in shapes.items():
            name = f"{high}x{wide}"
            self.transforms[name] = GradientTransform(wide, high, config.rank, len(paths))
            self.place |= {path: (name, number) for number, path in enumerate(paths)}
        self.log_rate = nn.Parameter(torch.full((len(self.sizes),), config.rate).log())

    @property
    def paths(self) -> list[str]:
        """The modules."""
        return list(self.sizes)

    def of_shape(self, name: str) -> list[str]:
        """Modules that share a network."""
        return [path for path, (own, _) in self.place.items() if own == name]

    def measure(self, gradients: Sequence[Mapping[str, Gradient]]) -> None:
        """Take means and deviations from the gradients of many corrections."""
        for name, transform in self.transforms.items():
            assert isinstance(transform, GradientTransform)
            every = [one[path] for one in gradients for path in self.of_shape(name)]
            transform.measure(
                Gradient(
                    inputs=torch.cat([one.inputs for one in every]),
                    outputs=torch.cat([one.outputs for one in every]),
                )
            )

    def forward(
        self, gradients: Mapping[str, Gradient], strength: float = 1.0
    ) -> dict[str, LowRank]:
        """The edit of each module: minus its rate times the outer products of transformed factors.

        Args:
            gradients: Of each module.
            strength: What the rates are multiplied by.
        """
        found = {}
        for number, path in enumerate(self.sizes):
            name, module = self.place[path]
            inputs, outputs = self.transforms[name](gradients[path], module)
            share = strength * self.log_rate[number].exp() / len(inputs)
            found[path] = LowRank(reads=inputs, writes=-share * outputs)
        return found


def balanced(one: LowRank) -> LowRank:
    """The same product with factors of the same size, so that neither is lost in half precision."""
    reads, writes = one.reads.norm(), one.writes.norm()
    factor = (writes.clamp(min=_TINY) / reads.clamp(min=_TINY)).sqrt()
    return LowRank(reads=one.reads * factor, writes=one.writes / factor)
