"""``liveedit train``: from emoji-edit's training corrections to an editor checkpoint."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from liveedit.backbones.base import Backbone
from liveedit.benchmark.emoji_edit import cases, validation_set
from liveedit.checkpoint import save_editor
from liveedit.config import Config, EditorConfig
from liveedit.network import EditorNetwork
from liveedit.representation import measure_scale
from liveedit.training.calibration import calibrate
from liveedit.training.experts import expert_losses
from liveedit.training.loop import LoopConfig, train
from liveedit.training.routing import Meanings, draw_views, routing_losses
from liveedit.training.views import VIEWS, CachedViews, cache_views

logger = logging.getLogger(__name__)


class EditorTraining(Config):
    """Settings of the editor's training.

    Args:
        editor: Architecture.
        corrections: Training corrections to draw.
        router: Loop of extractor and router.
        router_batch: Corrections in a batch there; each is seen from every side.
        generator: Loop of the generator.
        generator_batch: Corrections in a batch there.
        hard, sentinel, absolute, strict, relative: Weights of the routing losses.
        reliability, generality, locality: Weights of the generator's losses.
        seed: Seed of everything random.
    """

    editor: EditorConfig = EditorConfig()
    corrections: int = 4000
    router: LoopConfig = LoopConfig(steps=1000, learning_rate=1e-3)
    router_batch: int = 96
    generator: LoopConfig = LoopConfig(steps=200, learning_rate=5e-4)
    generator_batch: int = 12
    hard: float = 1.0
    sentinel: float = 1.0
    absolute: float = 1.0
    strict: float = 1.0
    relative: float = 1.0
    reliability: float = 1.0
    generality: float = 1.0
    locality: float = 0.1
    seed: int = 0


def train_editor(backbone: Backbone, folder: Path, config: EditorTraining) -> Path:
    """Train extractor and router, choose the margin on validation data, train the generator.

    Args:
        backbone: The frozen model.
        folder: Where cached states (about 0.2 MB a correction), checkpoints and logs are kept; the
            same folder goes on with an interrupted run.
        config: Settings.

    Returns:
        Folder of the checkpoint.
    """
    backbone.model.requires_grad_(False)
    some = list(islice(cases("train"), config.corrections))
    views = cache_views(backbone, some, folder / "states")
    held = cache_views(backbone, validation_set(), folder / "validation-states")
    torch.manual_seed(config.seed)
    network = EditorNetwork(config.editor, backbone.width)
    sample = torch.randint(0, len(views.all_states), (100_000,))
    network.set_scale(measure_scale(views.all_states[sample]))
    meanings = Meanings(some)

    def about_routing(step: int) -> dict[str, Tensor]:
        return router_losses(backbone, network, views, meanings, config.router_batch)

    routed = _parameters(network, "extractor.", "router.")
    weights = {name: getattr(config, name) for name in _ROUTING_LOSSES}
    train(about_routing, weights, routed, config.router, folder / "router", seed=config.seed)
    found = calibrate(backbone, network, held)
    logger.info("margin %.2f, fired %s", found.margin, found.fired)
    (folder / "calibration.json").write_text(json.dumps(asdict(found), indent=2))

    def about_experts(step: int) -> dict[str, Tensor]:
        chosen = torch.randperm(len(views))[: config.generator_batch]
        return expert_losses(backbone, network, views, chosen)

    generating = _parameters(network, "generator.")
    weights = {name: getattr(config, name) for name in _EXPERT_LOSSES}
    train(
        about_experts, weights, generating, config.generator, folder / "generator",
        seed=config.seed + 1,
    )  # fmt: skip
    save_editor(network, backbone.fingerprint(), folder / "editor")
    (folder / "training.json").write_text(config.model_dump_json(indent=2))
    return folder / "editor"


def router_losses(
    backbone: Backbone, network: EditorNetwork, views: CachedViews, meanings: Meanings, batch: int
) -> dict[str, Tensor]:
    """Unweighted losses of extractor and router on a random batch of corrections."""
    network.extractor.train()
    chosen = torch.randperm(len(views))[:batch]
    edit_side, query_side = draw_views(batch)
    seen = views.batch(chosen.repeat(len(VIEWS)) * len(VIEWS) + query_side)
    stated = views.batch(chosen * len(VIEWS) + edit_side)
    with torch.autocast(backbone.device.type, torch.bfloat16):
        queries = network.extractor(seen.representation(backbone, network.scale))
        edits = network.extractor(stated.representation(backbone, network.scale))
    relation = meanings.relation(chosen, query_side)
    return routing_losses(queries, edits, network.router, relation)


_ROUTING_LOSSES = ("hard", "sentinel", "absolute", "strict", "relative")
_EXPERT_LOSSES = ("reliability", "generality", "locality")


def _parameters(network: EditorNetwork, *prefixes: str) -> dict[str, torch.nn.Parameter]:
    return {name: value for name, value in network.named_parameters() if name.startswith(prefixes)}
