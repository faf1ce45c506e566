"""How fast the editor trains, against a straightforward loop; both in this run, on one model.

    python benchmarks/training.py [--json]

The loop takes one correction at a time and keeps nothing: every view of it goes through the frozen
backbone anew, in batches of one, and logits are computed at all positions. Losses and model are
those of the trainer, and so is the optimiser's step after a batch. Rendering pictures is left out
on both sides. The trainer's figure includes the computation of the cache, spread over all passes
that the shipped configuration makes over its corrections. Text-only corrections are left out on
both sides, too.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from liveedit.backbones.base import Backbone
from liveedit.backbones.registry import load_backbone
from liveedit.data.cached_states import CachedViews, ViewBatch, cache_views
from liveedit.data.emoji_edit.corrections import EditCase, training_cases
from liveedit.data.views import EDIT, OTHER_IMAGE, REPHRASE, TAUGHT, views_of
from liveedit.methods.liveedit.features import RoutingFeatures
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.methods.liveedit.representation import measure_scale
from liveedit.methods.liveedit.residual import RoutedExperts
from liveedit.training.editor import EditorTraining, router_losses
from liveedit.training.expert_losses import expert_losses
from liveedit.training.published import LOSSES, PublishedTraining, published_losses
from liveedit.training.routing_losses import Meanings, draw_views, routing_losses

_ROUTED = ("hard", "sentinel", "absolute", "strict", "relative")
_GENERATED = ("reliability", "generality", "locality")
Result = TypeVar("Result")
Views = list[tuple[Image.Image, str, str]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="pocket", help="pocket, or a folder")
    parser.add_argument("--steps", type=int, default=4, help="steps of the trainer to time")
    parser.add_argument("--loop", type=int, default=8, help="corrections the loop is timed on")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    found = measure(load_backbone(options.model), options.steps, options.loop)
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:45} {value:.4g}")


def measure(backbone: Backbone, steps: int, looped: int) -> dict[str, float]:
    """Seconds, rates and ratios; see the names."""
    config = EditorTraining()
    backbone.model.requires_grad_(False)
    some = list(islice(training_cases(), 2 * config.router_batch))
    with TemporaryDirectory() as folder:
        cache, views = _timed(lambda: cache_views(backbone, some, Path(folder)))
    torch.manual_seed(0)
    network = EditorNetwork(config.editor, backbone.width)
    network.set_scale(measure_scale(views.all_states[:100_000]))
    meanings = Meanings(some)

    router = _steps(lambda: _router_step(backbone, network, views, meanings, config), steps)
    generator = _steps(lambda: _generator_step(backbone, network, views, config), steps)
    frozen = _steps(lambda: _frozen_part(backbone, views, config), steps)
    published = _steps(_published_step(backbone, views), steps)
    loop_router, loop_generator = _loop(backbone, network, some[:looped], meanings)

    routed = config.router.steps * config.router_batch
    generated = config.generator.steps * config.generator_batch
    cached = config.corrections * cache / len(some)
    ours = cached + config.router.steps * router + config.generator.steps * generator
    loop = routed * loop_router + generated * loop_generator
    return {
        "trainer, corrections a second": (routed + generated) / ours,
        "loop, corrections a second": (routed + generated) / loop,
        "ratio": loop / ours,
        "ratio, router steps alone": loop_router * config.router_batch / router,
        "ratio, generator steps alone": loop_generator * config.generator_batch / generator,
        "published recipe, corrections a second": PublishedTraining().batch / published,
        "share of the frozen backbone": (cached + config.generator.steps * frozen) / ours,
        "seconds of a router step": router,
        "seconds of a generator step": generator,
        "seconds to cache a correction": cache / len(some),
    }


def _router_step(
    backbone: Backbone,
    network: EditorNetwork,
    views: CachedViews,
    meanings: Meanings,
    config: EditorTraining,
) -> None:
    losses = router_losses(backbone, network, views, meanings, config.router_batch)
    _update(network, (losses[name] for name in _ROUTED))


def _generator_step(
    backbone: Backbone, network: EditorNetwork, views: CachedViews, config: EditorTraining
) -> None:
    chosen = torch.randperm(len(views))[: config.generator_batch]
    losses = expert_losses(backbone, network, views, chosen)
    _update(network, (losses[name] for name in _GENERATED))


def _published_step(backbone: Backbone, views: CachedViews) -> Callable[[], None]:
    config = PublishedTraining()
    network = EditorNetwork(config.editor, backbone.width)
    network.set_scale(measure_scale(views.all_states[:100_000]))

    def step() -> None:
        chosen, elsewhere = torch.randperm(len(views))[: 2 * config.routing_batch].chunk(2)
        losses = published_losses(backbone, network, views, chosen, elsewhere, config.batch)
        _update(network, (losses[name] for name in LOSSES))

    return step


def _frozen_part(backbone: Backbone, views: CachedViews, config: EditorTraining) -> None:
    """What of a generator step runs through the frozen layers, forward and backward."""
    batch = torch.arange(config.generator_batch)
    seen = views.batch(batch.repeat(3), torch.tensor([0, 1, 3]).repeat_interleave(len(batch)))
    states = seen.states.clone().requires_grad_()
    spans = seen.representation(backbone, measure_scale(views.all_states[:1000])).spans
    backbone.finish(states, seen.attention_mask, spans.predicts).sum().backward()
    with torch.no_grad():
        third = slice(0, config.generator_batch)
        backbone.finish(seen.states[third], seen.attention_mask[third], spans.predicts[third])


def _loop(
    backbone: Backbone, network: EditorNetwork, some: Sequence[EditCase], meanings: Meanings
) -> tuple[float, float]:
    """Seconds a correction of the loop's router and generator steps."""
    rendered = [
        [(*view, case.target) for view in views_of(case, TAUGHT)]
        for case in tqdm(some, desc="rendering", unit="correction")
    ]

    def router_step() -> None:
        queries: list[list[RoutingFeatures]] = [[] for _ in TAUGHT]
        edits = []
        for views in tqdm(rendered, desc="loop, router", unit="correction"):
            for number in range(len(TAUGHT)):
                one = _one_view(backbone, views, number)
                queries[number].append(
                    network.extractor(one.representation(backbone, network.scale))
                )
            stated = _one_view(backbone, views, EDIT)
            edits.append(network.extractor(stated.representation(backbone, network.scale)))
        chosen = torch.arange(len(some))
        asked = RoutingFeatures.join([one for view in queries for one in view])
        relation = meanings.relation(chosen, draw_views(len(some))[1])
        losses = routing_losses(asked, RoutingFeatures.join(edits), network.router, relation)
        _update(network, (losses[name] for name in _ROUTED))

    def generator_step() -> None:
        for views in tqdm(rendered, desc="loop, generator", unit="correction"):
            stated = _one_view(backbone, views, EDIT).representation(
                backbone, network.scale, lexical=True
            )
            expert = RoutedExperts(
                experts=network.generator(stated), weights=torch.full((1, 1), 0.8)
            )
            losses = []
            for number in (EDIT, REPHRASE, OTHER_IMAGE):
                one = _one_view(backbone, views, number)
                everywhere = one.attention_mask.bool()
                edited = expert.add_to(one.states, network.scale)
                logits = backbone.finish(edited, one.attention_mask, everywhere).float()
                last = int(one.target_lengths) + 1
                told, words = logits[-last:-1], one.input_ids[0, -last + 1 :]
                if number == OTHER_IMAGE:
                    with torch.no_grad():
                        plain = backbone.finish(one.states, one.attention_mask, everywhere)
                    before = plain.float()[-last:-1].log_softmax(1)
                    losses.append(
                        F.kl_div(
                            told.log_softmax(1), before, log_target=True, reduction="batchmean"
                        )
                    )
                else:
                    losses.append(F.cross_entropy(told, words))
            torch.stack(losses).sum().backward()
        _update(network, ())

    return _timed(router_step)[0] / len(some), _timed(generator_step)[0] / len(some)


def _one_view(backbone: Backbone, views: Views, number: int) -> ViewBatch:
    picture, question, target = views[number]
    backbone.forget_images()
    query = backbone.query([picture], [question], [target])
    return ViewBatch(
        states=backbone.states(query),
        input_ids=query.input_ids,
        attention_mask=query.attention_mask,
        target_lengths=query.spans.target.sum(1),
    )


def _update(network: EditorNetwork, losses: Iterable[Tensor]) -> None:
    terms = list(losses)
    if terms:
        torch.stack(terms).sum().backward()
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.0)
    optimiser.step()
    optimiser.zero_grad()


def _steps(step: Callable[[], None], count: int) -> float:
    step()
    return sum(_timed(step)[0] for _ in range(count)) / count


def _timed(work: Callable[[], Result]) -> tuple[float, Result]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


if __name__ == "__main__":
    main()
