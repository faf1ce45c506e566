"""``liveedit train``: from emoji-edit's training corrections to an editor checkpoint."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from liveedit.backbones.base import Backbone
from liveedit.config import Config
from liveedit.data.cached_states import DEFAULT_LIMIT, CachedViews, cache_views
from liveedit.data.emoji_edit.corrections import VALIDATION_SIZE
from liveedit.data.emoji_edit.neighbours import (
    GROUP,
    TEXT_GROUP,
)
from liveedit.data.views import TAUGHT, TEXT_EDIT, TEXT_REPHRASE, TEXT_TAUGHT, Case
from liveedit.distributed import gather, processes, share
from liveedit.errors import BadCheckpoint
from liveedit.methods.liveedit.checkpoint import load_editor, save_editor
from liveedit.methods.liveedit.config import EditorConfig
from liveedit.methods.liveedit.features import RoutingFeatures
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.methods.liveedit.representation import Representation, measure_scale
from liveedit.training.calibration import calibrate
from liveedit.training.data import Pictured, TrainingData, drawings, text_data
from liveedit.training.estimate import Estimate, Kept, Steps, estimate
from liveedit.training.expert_losses import TEXT_ONLY, attention_of_short_rows, expert_losses
from liveedit.training.loop import LoopConfig, train
from liveedit.training.routing_losses import (
    Meanings,
    TextMeanings,
    draw_groups,
    draw_views,
    routing_losses,
    text_losses,
)
from liveedit.training.same_question import same_question
from liveedit.training.validation import expert_validation, routing_validation

logger = logging.getLogger(__name__)

Extract = Callable[[Representation], RoutingFeatures]

_ROWS = 12  # views whose features are extracted together

ROUTING_LOSSES = (
    "hard", "sentinel", "absolute", "strict", "relative",
    "subject", "subject_silence", "text_absolute", "text",
)  # fmt: skip
_HELD = (*TAUGHT, "free words", "elsewhere")  # what the margins are chosen on
EXPERT_LOSSES = (
    "reliability", "generality", "locality",
    "text_reliability", "text_generality", "text_locality",
)  # fmt: skip


class EditorTraining(Config):
    """Settings of the editor's training.

    Args:
        editor: Architecture.
        corrections: Training corrections to draw.
        text_corrections: Text-only ones.
        validation: Validation corrections to choose the margin on.
        router: Loop of extractor and router.
        router_batch: Corrections in a batch there; each is seen from every side.
        text_batch: Text-only corrections in a batch there.
        generator: Loop of the generator.
        generator_batch: Corrections in a batch there.
        generator_text_batch: Text-only corrections in a batch there.
        strict_scope: Learn from the strict cases: the question about another picture, and another
            question about the picture. Without, other corrections alone are negatives.
        hard, sentinel, absolute, strict, relative: Weights of the routing losses.
        subject, subject_silence, text_absolute, text: Weights of the text router's.
        reliability, generality, locality, text_reliability, text_generality, text_locality: Weights
            of the generator's losses.
        choose: Weights to end with: those that were best on validation corrections, or the last.
        seed: Seed of everything random.
        start: Folder of an editor to go on from, in the place of a new one.
    """

    editor: EditorConfig = EditorConfig()
    corrections: int = 4480
    text_corrections: int = 5120
    validation: int = VALIDATION_SIZE
    router: LoopConfig = LoopConfig(steps=1400, learning_rate=1e-3)
    router_batch: int = 96
    text_batch: int = 48
    generator: LoopConfig = LoopConfig(steps=200, learning_rate=5e-4)
    generator_batch: int = 12
    generator_text_batch: int = 4
    strict_scope: bool = True
    hard: float = 1.0
    sentinel: float = 1.0
    absolute: float = 1.0
    strict: float = 1.0
    relative: float = 1.0
    subject: float = 1.0
    subject_silence: float = 1.0
    text_absolute: float = 1.0
    text: float = 1.0
    reliability: float = 1.0
    generality: float = 1.0
    locality: float = 0.1
    text_reliability: float = 1.0
    text_generality: float = 1.0
    text_locality: float = 0.1
    choose: Literal["best", "last"] = "best"
    seed: int = 0
    start: Path | None = None


def train_editor(
    backbone: Backbone,
    folder: Path,
    config: EditorTraining,
    *,
    data: TrainingData | None = None,
    states: Path | None = None,
    states_limit: int = DEFAULT_LIMIT,
    told: Callable[[Estimate], object] | None = None,
) -> Path:
    """Train extractor and router, choose the margin on validation data, train the generator.

    Args:
        backbone: The frozen model.
        folder: Where checkpoints and logs are kept; the same folder goes on with an interrupted
            run.
        config: Settings.
        data: Corrections with a picture; emoji-edit's by default.
        states: Cache of states at the edit layer (about 0.2 MB a correction); in ``folder`` by
            default. Runs may share one.
        states_limit: Its largest size in bytes.
        told: Is given what it will take before anything is begun; an exception ends it there.

    Returns:
        Folder of the checkpoint.

    Raises:
        BackboneMismatch, BadCheckpoint: The editor to start from is not one for this backbone that
            was trained.
        CacheTooSmall, DiskTooSmall: With ``told``, see :func:`liveedit.training.estimate.estimate`.
    """
    backbone.model.requires_grad_(False)
    started = _started(config, backbone)
    data = data or drawings(config.corrections, config.validation)
    texts, held_texts = text_data(config.text_corrections, config.validation)

    where = states or folder / "states"
    if told is not None:
        kept = [
            Kept(cases=data.cases, names=TAUGHT), Kept(cases=texts, names=TEXT_TAUGHT),
            Kept(cases=data.held, names=_HELD), Kept(cases=held_texts, names=TEXT_TAUGHT),
        ]  # fmt: skip
        told(
            estimate(
                backbone, kept, where, limit=states_limit,
                steps=partial(_steps, backbone, config, data.cases),
            )
        )  # fmt: skip

    def cached(cases: Sequence[Case], names: tuple[str, ...]) -> CachedViews:
        return cache_views(backbone, cases, where, names=names, limit=states_limit)

    views, text_views = cached(data.cases, TAUGHT), cached(texts, TEXT_TAUGHT)
    held, text_held = cached(data.held, _HELD), cached(held_texts, TEXT_TAUGHT)
    network = started or new_network(config.editor, backbone, views, config.seed)
    meanings, text_meanings = Meanings(data.cases), TextMeanings(texts)

    def about_routing(step: int) -> dict[str, Tensor]:
        return router_losses(
            backbone, network, views, meanings, config.router_batch, strict=config.strict_scope
        ) | text_router_losses(backbone, network, text_views, text_meanings, config.text_batch)

    routed = parameters(network, "extractor.", "edit_extractor.", "router.")
    weights = {name: getattr(config, name) for name in ROUTING_LOSSES}
    best = config.choose == "best"
    train(
        about_routing, weights, routed, config.router, folder / "router", seed=config.seed,
        validate=lambda: routing_validation(backbone, network, held, text_held), choose_best=best,
    )  # fmt: skip
    found = calibrate(backbone, network, held, text_held)
    same = same_question(backbone, network, held, Meanings(data.held).asks)
    words = network.config.sentence_encoder or config.editor.sentence_encoder
    chosen = {"same_question": same, "sentence_encoder": words}
    network.config = network.config.model_copy(update=chosen)
    logger.info("calibrated: %s", found)
    if processes().is_main_process:
        (folder / "calibration.json").write_text(json.dumps(asdict(found), indent=2))

    def about_experts(step: int) -> dict[str, Tensor]:
        chosen = torch.randperm(len(views))[: config.generator_batch]
        some_texts = torch.randperm(len(text_views))[: config.generator_text_batch]
        about_texts = expert_losses(backbone, network, text_views, some_texts, TEXT_ONLY)
        return expert_losses(backbone, network, views, chosen) | {
            f"text_{name}": value for name, value in about_texts.items()
        }

    generating = parameters(network, "generator.")
    weights = {name: getattr(config, name) for name in EXPERT_LOSSES}
    train(
        about_experts, weights, generating, config.generator, folder / "generator",
        seed=config.seed + 1,
        validate=lambda: expert_validation(backbone, network, held), choose_best=best,
    )  # fmt: skip
    if processes().is_main_process:
        save_editor(network, backbone.fingerprint(), folder / "editor")
        (folder / "training.json").write_text(config.model_dump_json(indent=2))
    return folder / "editor"


def _steps(
    backbone: Backbone, config: EditorTraining, cases: Sequence[Pictured], sample: CachedViews
) -> list[Steps]:
    """A step of each loop on a sample, to measure."""
    network = new_network(config.editor, backbone, sample, config.seed)
    count = len(sample)
    meanings = Meanings(cases[:count])

    def routing() -> Tensor:
        losses = router_losses(backbone, network, sample, meanings, count)
        return torch.stack([losses[name] for name in ROUTING_LOSSES if name in losses]).sum()

    def generating() -> Tensor:
        losses = expert_losses(backbone, network, sample, torch.arange(count))
        return losses["reliability"] + losses["generality"] + losses["locality"]

    batches = {
        "router": config.router_batch + config.text_batch / 2,  # with half as many views
        "generator": config.generator_batch + config.generator_text_batch,
    }
    return [
        Steps(name=name, count=getattr(config, name).steps, times=batch / count, step=step)
        for (name, batch), step in zip(batches.items(), (routing, generating), strict=True)
    ]


def router_losses(
    backbone: Backbone,
    network: EditorNetwork,
    views: CachedViews,
    meanings: Meanings,
    batch: int,
    *,
    strict: bool = True,
) -> dict[str, Tensor]:
    """Unweighted losses of extractor and router on a random batch of corrections.

    Each process extracts the features of its part; the losses compare all with all.
    """
    network.train()
    chosen = draw_groups(len(views), batch, GROUP)
    edit_side, query_side = draw_views(len(chosen), strict=strict)
    queries, edits = _features(backbone, network, views, chosen, edit_side, query_side)
    relation = meanings.relation(chosen, query_side).to(queries.sees.device)
    return routing_losses(queries, edits, network.router, relation)


def text_router_losses(
    backbone: Backbone,
    network: EditorNetwork,
    views: CachedViews,
    meanings: TextMeanings,
    batch: int,
) -> dict[str, Tensor]:
    """Unweighted losses of the text router on a random batch; see :func:`router_losses`."""
    network.train()
    chosen = draw_groups(len(views), batch, TEXT_GROUP)
    # the correction itself, or now and then its rephrased question, is what the edit is made from
    edit_side = torch.where(torch.rand(len(chosen)) < 0.3, TEXT_REPHRASE, TEXT_EDIT)
    query_side = torch.arange(len(TEXT_TAUGHT)).repeat_interleave(len(chosen))
    queries, edits = _features(backbone, network, views, chosen, edit_side, query_side)
    relation = meanings.relation(chosen, query_side).to(queries.sees.device)
    return text_losses(queries, edits, network.router, relation)


def _features(
    backbone: Backbone,
    network: EditorNetwork,
    views: CachedViews,
    chosen: Int[Tensor, " batch"],
    edit_side: Int[Tensor, " batch"],
    query_side: Int[Tensor, " queries"],
) -> tuple[RoutingFeatures, RoutingFeatures]:
    """Features of the queries and of the edits of a batch, of which each process extracts its part.

    Args:
        backbone: The frozen model.
        network: The editor.
        views: All corrections.
        chosen: Those of the batch.
        edit_side: View that each edit is made from.
        query_side: View of each query; query q is of correction ``q % batch``.
    """
    mine = share(torch.arange(len(chosen)))
    sides = query_side.view(-1, len(chosen))

    def extract(by: Extract, cases: Tensor, kinds: Tensor) -> RoutingFeatures:
        """In batches of like lengths: a few messages are ten times as long as a question."""
        order = views.lengths(cases, kinds).argsort()
        parts = [
            by(views.batch(cases[some], kinds[some]).representation(backbone, network.scale))
            for some in order.split(_ROWS)
        ]
        return RoutingFeatures.join(parts).take(order.argsort().to(parts[0].sees.device))

    with extracting(backbone), attention_of_short_rows(backbone.device):
        queries = extract(
            network.extractor, chosen[mine].repeat(len(sides)), sides[:, mine].flatten()
        )
        edits = extract(network.edit_features, chosen[mine], edit_side[mine])
    queries = queries.map(lambda part: gather(part.unflatten(0, (len(sides), -1)), 1).flatten(0, 1))
    return queries, edits.map(gather)


def extracting(backbone: Backbone) -> torch.autocast:
    """Features are extracted in what the decoder computes in, where that is a short dtype."""
    weights = backbone.decoder.parameters()
    dtype = next(weight.dtype for weight in weights if weight.is_floating_point())
    return torch.autocast(backbone.device.type, dtype, enabled=dtype.itemsize < 4)


def new_network(
    config: EditorConfig, backbone: Backbone, views: CachedViews, seed: int
) -> EditorNetwork:
    """An untrained editor that has the backbone's scale."""
    torch.manual_seed(seed)
    network = EditorNetwork(config, backbone.width)
    sample = torch.randint(0, len(views.all_states), (100_000,))
    network.set_scale(measure_scale(views.all_states[sample]))
    return network.to(backbone.edit_device)


def _started(config: EditorTraining, backbone: Backbone) -> EditorNetwork | None:
    """The trained editor to go on from, if one is given; its own architecture and scale count."""
    if config.start is None:
        return None
    network = load_editor(config.start, backbone.fingerprint())
    if network.config.calibrated:
        raise BadCheckpoint(
            f"{config.start} is a calibrated editor, which nothing was learned for; start from one "
            "that liveedit train wrote, or without --start"
        )
    torch.manual_seed(config.seed)
    return network.requires_grad_(True).to(backbone.edit_device)


def parameters(network: EditorNetwork, *prefixes: str) -> dict[str, torch.nn.Parameter]:
    """What is learned of some parts."""
    return {
        name: value
        for name, value in network.named_parameters()
        if name.startswith(prefixes) and value.requires_grad
    }
