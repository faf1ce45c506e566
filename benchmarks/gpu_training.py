"""What ``gpu.py`` measures of training: steps of both recipes, on cached states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from gpu_models import Plan, Subject, picture
from torch import Tensor
from true_size import PAPER

from liveedit.backbones.base import Backbone
from liveedit.data.cached_states import CachedViews, view_states
from liveedit.data.emoji_edit.corrections import EditCase, training_cases
from liveedit.data.views import TAUGHT, VIEWS, Resaved
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.training.editor import EditorTraining, new_network, parameters, router_losses
from liveedit.training.expert_losses import expert_losses
from liveedit.training.published import LOSSES, PublishedTraining, published_losses
from liveedit.training.routing_losses import Meanings

_ROUTED = ("hard", "sentinel", "absolute", "strict", "relative")
_GENERATED = ("reliability", "generality", "locality")


@dataclass(frozen=True, kw_only=True)
class Taught:
    """Corrections with the states of all their views.

    Args:
        cases: The corrections.
        views: Their states, on the CPU.
        seconds: That the states of one took, rendering left out.
    """

    cases: list[EditCase]
    views: CachedViews
    seconds: float


def read(backbone: Backbone, plan: Plan) -> Taught:
    """Compute states as the trainers' cache does."""
    cases = list(islice(training_cases(), plan.cached))
    shown = [VIEWS[name](case) for case in cases for name in TAUGHT]
    scenes = {
        scene: picture(scene.picture if isinstance(scene, Resaved) else scene, plan.picture)
        for scene, _ in shown
    }
    pictures, questions = [scenes[scene] for scene, _ in shown], [asked for _, asked in shown]
    targets = [case.target for case in cases for _ in TAUGHT]
    found: dict[str, Tensor] = {}
    backbone.forget_images()
    seconds = plan.timed(lambda: found.update(view_states(backbone, pictures, questions, targets)))
    views = CachedViews(TAUGHT, **found, device=backbone.edit_device)
    return Taught(cases=cases, views=views, seconds=seconds / len(cases))


def ours(subject: Subject, taught: Taught) -> dict[str, float]:
    """Our recipe: extractor and router first, then the generator; without text-only corrections."""
    plan, backbone, views = subject.plan, subject.backbone, taught.views
    config = EditorTraining()
    network = new_network(config.editor, backbone, views, config.seed)
    meanings = Meanings(taught.cases)

    def router(batch: int) -> tuple[int, float]:
        return batch, _seconds_a_step(
            lambda: router_losses(backbone, network, views, meanings, batch),
            _ROUTED, network, ("extractor.", "router."), plan,
        )  # fmt: skip

    def generator(batch: int) -> tuple[int, float]:
        return batch, _seconds_a_step(
            lambda: expert_losses(backbone, network, views, torch.randperm(len(views))[:batch]),
            _GENERATED, network, ("generator.",), plan,
        )  # fmt: skip

    routed, router_seconds = plan.fitting(router, plan.router_batch)
    generated, generator_seconds = plan.fitting(generator, plan.generator_batch)
    steps = config.router.steps, config.generator.steps
    whole = steps[0] * router_seconds + steps[1] * generator_seconds
    return {
        "router_batch": routed,
        "router_seconds": router_seconds,
        "router_corrections": routed / router_seconds,
        "generator_batch": generated,
        "generator_seconds": generator_seconds,
        "generator_corrections": generated / generator_seconds,
        "cache_seconds": taught.seconds,
        "corrections": (steps[0] * routed + steps[1] * generated)
        / (whole + config.corrections * taught.seconds),
    }


def published(subject: Subject, taught: Taught) -> dict[str, float]:
    """The paper's recipe: generator, extractors and routing together; an editor of its size."""
    plan, backbone, views = subject.plan, subject.backbone, taught.views
    config = PublishedTraining(editor=PAPER)
    network = new_network(config.editor, backbone, views, config.seed)

    def one(batch: int) -> tuple[int, float]:
        def losses() -> dict[str, Tensor]:
            chosen, elsewhere = torch.randperm(len(views))[: 2 * plan.routing_batch].chunk(2)
            return published_losses(backbone, network, views, chosen, elsewhere, batch)

        return batch, _seconds_a_step(losses, LOSSES, network, ("",), plan)

    batch, seconds = plan.fitting(one, plan.published_batch)
    whole = config.loop.steps * seconds + config.corrections * taught.seconds
    return {
        "batch": batch,
        "routing_batch": plan.routing_batch,
        "seconds": seconds,
        "step_corrections": batch / seconds,
        "cache_seconds": taught.seconds,
        "corrections": config.loop.steps * batch / whole,
    }


def _seconds_a_step(
    losses: Callable[[], dict[str, Tensor]],
    names: Sequence[str],
    network: EditorNetwork,
    prefixes: Sequence[str],
    plan: Plan,
) -> float:
    """Mean over a few steps, after one to warm up."""
    learned = parameters(network, *prefixes).values()
    optimiser = torch.optim.AdamW(learned, lr=0.0)

    def step() -> None:
        terms = losses()
        optimiser.zero_grad()
        torch.stack([terms[name] for name in names]).sum().backward()
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimiser.step()

    plan.timed(step)
    return sum(plan.timed(step) for _ in range(plan.steps)) / plan.steps
