"""New adapters as peft makes them: initial factors and scale, without touching a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from liveedit.errors import MissingExtra

Factors = tuple[Float[Tensor, "rank wide"], Float[Tensor, "high rank"]]
_NAME = "edit"


def check_peft() -> None:
    """Make sure that peft is there.

    Raises:
        MissingExtra: It is not installed.
    """
    try:
        import peft  # noqa: F401
    except ImportError as error:
        raise MissingExtra("peft", extra="peft") from error


def new_factors(
    sizes: Mapping[str, tuple[int, int]], *, rank: int, alpha: float, seed: int
) -> tuple[dict[str, Factors], float]:
    """Factors A and B of a new adapter, and what their product is multiplied by.

    Args:
        sizes: How many numbers each module gives and takes.
        rank: Of the adapter.
        alpha: Its scale, divided by the rank.
        seed: Of the random factors.
    """
    from peft import LoraConfig, inject_adapter_in_model

    found, scale = {}, 1.0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for path, (high, wide) in sizes.items():
            # in the module's place stands one of its size, which is let go at once
            stand_in = nn.utils.skip_init(nn.Linear, wide, high, bias=False)
            config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=["linear"])
            adapted = inject_adapter_in_model(
                config, nn.ModuleDict({"linear": stand_in}), adapter_name=_NAME
            )["linear"]
            scale = float(adapted.scaling[_NAME])
            parts: Sequence[nn.Linear] = (adapted.lora_A[_NAME], adapted.lora_B[_NAME])
            found[path] = (parts[0].weight.detach(), parts[1].weight.detach())
    return found, scale
