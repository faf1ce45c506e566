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
from liveedit.benchmark.emoji_edit import VALIDATION_SIZE, cases, validation_set
from liveedit.checkpoint import save_editor
from liveedit.config import Config, EditorConfig
from liveedit.network import EditorNetwork
from liveedit.representation import measure_scale
from liveedit.training.calibration import calibrate
from liveedit.training.experts import expert_losses
from liveedit.training.loop import LoopConfig, train
from liveedit.training.processes import gather, processes, share
from liveedit.training.routing import Meanings, draw_views, routing_losses
from liveedit.training.states import DEFAULT_LIMIT, CachedViews, cache_views

logger = logging.getLogger(__name__)

ROUTING_LOSSES = ("hard", "sentinel", "absolute", "strict", "relative")
EXPERT_LOSSES = ("reliability", "generality", "locality")


class EditorTraining(Config):
    """Settings of the editor's training.

    Args:
        editor: Architecture.
        corrections: Training corrections to draw.
        validation: Validation corrections to choose the margin on.
        router: Loop of extractor and router.
        router_batch: Corrections in a batch there; each is seen from every side.
        generator: Loop of the generator.
        generator_batch: Corrections in a batch there.
        hard, sentinel, absolute, strict, relative: Weights of the routing losses.
        reliability, generality, locality: Weights of the generator's losses.
        seed: Seed of everything random.
    """

    editor: EditorConfig = EditorConfig()
    corrections: int = 3000
    validation: int = VALIDATION_SIZE
    router: LoopConfig = LoopConfig(steps=800, learning_rate=1e-3)
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


def train_editor(
    backbone: Backbone,
    folder: Path,
    config: EditorTraining,
    *,
    states: Path | None = None,
    states_limit: int = DEFAULT_LIMIT,
) -> Path:
    """Train extractor and router, choose the margin on validation data, train the generator.

    Args:
        backbone: The frozen model.
        folder: Where checkpoints and logs are kept; the same folder goes on with an interrupted
            run.
        config: Settings.
        states: Cache of states at the edit layer (about 0.2 MB a correction); in ``folder`` by
            default. Runs may share one.
        states_limit: Its largest size in bytes.

    Returns:
        Folder of the checkpoint.
    """
    backbone.model.requires_grad_(False)
    some = list(islice(cases("train"), config.corrections))
    states = states or folder / "states"
    views = cache_views(backbone, some, states, limit=states_limit)
    held = cache_views(backbone, validation_set(config.validation), states, limit=states_limit)
    network = new_network(config.editor, backbone, views, config.seed)
    meanings = Meanings(some)

    def about_routing(step: int) -> dict[str, Tensor]:
        return router_losses(backbone, network, views, meanings, config.router_batch)

    routed = parameters(network, "extractor.", "router.")
    weights = {name: getattr(config, name) for name in ROUTING_LOSSES}
    train(about_routing, weights, routed, config.router, folder / "router", seed=config.seed)
    found = calibrate(backbone, network, held)
    logger.info("margin %.2f, fired %s", found.margin, found.fired)
    if processes().is_main_process:
        (folder / "calibration.json").write_text(json.dumps(asdict(found), indent=2))

    def about_experts(step: int) -> dict[str, Tensor]:
        chosen = torch.randperm(len(views))[: config.generator_batch]
        return expert_losses(backbone, network, views, chosen)

    generating = parameters(network, "generator.")
    weights = {name: getattr(config, name) for name in EXPERT_LOSSES}
    train(
        about_experts, weights, generating, config.generator, folder / "generator",
        seed=config.seed + 1,
    )  # fmt: skip
    if processes().is_main_process:
        save_editor(network, backbone.fingerprint(), folder / "editor")
        (folder / "training.json").write_text(config.model_dump_json(indent=2))
    return folder / "editor"


def router_losses(
    backbone: Backbone, network: EditorNetwork, views: CachedViews, meanings: Meanings, batch: int
) -> dict[str, Tensor]:
    """Unweighted losses of extractor and router on a random batch of corrections.

    Each process extracts the features of its part; the losses compare all with all.
    """
    network.extractor.train()
    chosen = torch.randperm(len(views))[:batch]
    edit_side, query_side = draw_views(batch)
    mine = share(torch.arange(batch))
    sides = query_side.view(-1, batch)
    seen = views.batch(chosen[mine].repeat(len(sides)), sides[:, mine].flatten())
    stated = views.batch(chosen[mine], edit_side[mine])
    with torch.autocast(backbone.device.type, torch.bfloat16):
        queries = network.extractor(seen.representation(backbone, network.scale))
        edits = network.extractor(stated.representation(backbone, network.scale))
    queries = queries.map(lambda part: gather(part.unflatten(0, (len(sides), -1)), 1).flatten(0, 1))
    relation = meanings.relation(chosen, query_side)
    return routing_losses(queries, edits.map(gather), network.router, relation)


def new_network(
    config: EditorConfig, backbone: Backbone, views: CachedViews, seed: int
) -> EditorNetwork:
    """An untrained editor that has the backbone's scale."""
    torch.manual_seed(seed)
    network = EditorNetwork(config, backbone.width)
    sample = torch.randint(0, len(views.all_states), (100_000,))
    network.set_scale(measure_scale(views.all_states[sample]))
    return network


def parameters(network: EditorNetwork, *prefixes: str) -> dict[str, torch.nn.Parameter]:
    """What is learned of some parts."""
    return {
        name: value
        for name, value in network.named_parameters()
        if name.startswith(prefixes) and value.requires_grad
    }
