"""How good an editor is on validation corrections, while it is trained and to choose the best."""

from __future__ import annotations

import torch
from torch import Tensor

from liveedit.backbones.base import Backbone
from liveedit.data.cached_states import CachedViews
from liveedit.distributed import mean, processes
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.training.calibration import (
    MARGINS,
    PROMPT_MARGINS,
    RECALLED,
    SILENCE,
    TEXT_SILENCE,
    compare,
    fired,
    merit_of,
)
from liveedit.training.curve import MERIT
from liveedit.training.expert_losses import expert_losses

_SEED = 71
_EXPERTS = 32  # validation corrections that the generator is judged by


@torch.no_grad()
def routing_validation(
    backbone: Backbone, network: EditorNetwork, held: CachedViews, texts: CachedViews | None
) -> dict[str, float]:
    """Recall of the router, where it is as silent as it must be.

    All validation corrections are in force. Of margins at which enough stays silent the one that
    recalls most is looked at, as in calibration, which chooses the other margins, too; nothing of
    the router is changed.

    Args:
        backbone: The frozen model.
        network: The editor.
        held: Validation corrections with a picture.
        texts: Text-only ones, if there are any.

    Returns:
        ``recall`` and ``silence`` with their parts by view, the same of text-only corrections, and
        ``merit``, the mean of recalls; less than zero where too little is silent.
    """
    router = network.router
    about = compare(backbone, network, held)
    curve = fired(router, router.margin, about, MARGINS, group=len(held))
    found = _at_the_best(curve, held.names, SILENCE)
    about = {} if texts is None or not router.text else compare(backbone, network, texts)
    network.train()  # to compare, it was set to evaluation
    if texts is None or not about:
        return found
    curve = fired(router, router.text_margin, about, PROMPT_MARGINS, group=len(texts))
    of_texts = _at_the_best(curve, texts.names, TEXT_SILENCE)
    merit = (found[MERIT] + of_texts.pop(MERIT)) / 2
    return found | {f"text {name}": value for name, value in of_texts.items()} | {MERIT: merit}


@torch.no_grad()
def published_validation(
    backbone: Backbone, network: EditorNetwork, held: CachedViews
) -> dict[str, float]:
    """The same of the published recipe, which has no margin: at its own thresholds."""
    router = network.router
    about = compare(backbone, network, held)
    network.train()
    shares = fired(router, router.margin, about, router.margin[None], group=len(held))
    found = _figures(shares[0], held.names)
    return found | {MERIT: (found["recall"] + found["silence"]) / 2}


@torch.no_grad()
def expert_validation(
    backbone: Backbone, network: EditorNetwork, held: CachedViews
) -> dict[str, float]:
    """The generator's losses on some validation corrections, and ``merit``, their sum taken off 0.

    What is drawn is the same each time. On several processes all must ask.
    """
    count = processes().num_processes
    some = min(_EXPERTS, len(held)) // count * count
    if not some:
        return {}
    torch.manual_seed(_SEED)
    network.eval()
    losses = expert_losses(backbone, network, held, torch.arange(some))
    network.train()
    means = {name: float(mean(value)) for name, value in losses.items()}
    return means | {MERIT: -means["reliability"] - means["generality"]}


def _at_the_best(curve: Tensor, names: tuple[str, ...], least: float) -> dict[str, float]:
    merits = merit_of(curve, names, least)
    best = int(merits.argmax())
    return _figures(curve[best], names) | {MERIT: float(merits[best])}


def _figures(shares: Tensor, names: tuple[str, ...]) -> dict[str, float]:
    parts = dict(zip(names, shares.tolist(), strict=True))
    wanted = [value for name, value in parts.items() if name in RECALLED]
    unwanted = [value for name, value in parts.items() if name not in RECALLED]
    return {
        "recall": sum(wanted) / max(1, len(wanted)),
        "silence": 1 - sum(unwanted) / max(1, len(unwanted)),
        **{f"fires: {name}": value for name, value in parts.items()},
    }
