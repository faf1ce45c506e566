"""What ``gpu.py`` measures of answers, edits and routing."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Sequence

import torch
from gpu_models import Plan, Subject, asked_of, editing, features_of, fill
from torch import Tensor

from liveedit.correction import Correction
from liveedit.editor import EditedModel
from liveedit.methods.liveedit.features import EditFeatures
from liveedit.methods.liveedit.method import LiveEdit
from liveedit.methods.liveedit.selection import route_in
from liveedit.methods.liveedit.tensors import features_of as features_of_keys
from liveedit.methods.route import Route


def answers(subject: Subject, size: int) -> list[dict[str, float]]:
    """Time of answers with so many edits in force, relative to the unedited model's."""
    model, edits = subject.without_edits(), 0
    if size:
        model, edits = subject.edited, fill(subject, size)
    rows = []
    for batch in subject.plan.batches:
        asked = subject.corrections[:batch]
        row = {"edits": edits, "edits_wanted": size, "batch": batch}
        rows.append(row | slowdown(model, asked, subject.plan) | {"routed": routed(model, asked)})
    return rows


@torch.no_grad()
def routed(model: EditedModel, asked: Sequence[Correction]) -> float:
    """Experts that a question is routed to, in the mean."""
    if not model.edits:
        return 0.0
    query = model.backbone.query([one.image for one in asked], [one.prompt for one in asked])
    method = model.method
    assert isinstance(method, LiveEdit)
    features = method.features(model.backbone.states(query), query.spans)
    weights = method.route_features(features, model.store.pool()).weights
    return (weights != 0).sum(1).float().mean().item()


def slowdown(model: EditedModel, asked: Sequence[Correction], plan: Plan) -> dict[str, float]:
    """Medians over rounds in which both models answer one after the other.

    Returns:
        ``prefill``, ``decode``: ratios. ``prefill_ms``, ``decode_ms``: milliseconds of the unedited
        model, for the first token of the batch and for each further one. ``rounds``.
    """
    images, prompts = [one.image for one in asked], [one.prompt for one in asked]

    def seconds(tokens: int) -> float:
        options = {"max_new_tokens": tokens, "min_new_tokens": tokens}
        return plan.timed(lambda: model.generate(images, prompts, **options))

    def both() -> tuple[float, float]:
        first = seconds(1)
        return first, (seconds(1 + plan.decoded) - first) / plan.decoded

    def unedited() -> tuple[float, float]:
        with model.disabled():
            return both()

    unedited(), both()
    found: list[tuple[float, ...]] = []
    began = time.perf_counter()
    while len(found) < plan.rounds and (
        len(found) < 2 or time.perf_counter() - began < plan.seconds
    ):
        plain, edited = unedited(), both()
        ratios = [one / other for one, other in zip(edited, plain, strict=True)]
        found.append((*ratios, *(1000 * one for one in plain)))
    names = ("prefill", "decode", "prefill_ms", "decode_ms")
    medians = (statistics.median(part) for part in zip(*found, strict=True))
    return dict(zip(names, medians, strict=True)) | {"rounds": len(found)}


def edits(subject: Subject) -> list[dict[str, object]]:
    """Seconds an edit, its picture never seen before; nothing is kept."""
    return [
        subject.plan.fitting(lambda size, r=refined: _edit_seconds(subject, size, r), batch)  # type: ignore[misc]
        for batch in subject.plan.edit_batches
        for refined in (False, True)
    ]


def _edit_seconds(subject: Subject, batch: int, refined: bool) -> dict[str, object]:
    plan = subject.plan
    config = editing() if refined else editing(refine_steps=0)
    model = EditedModel(LiveEdit(subject.backbone, subject.network, config), subject.edited.store)
    some, steps = subject.corrections[:batch], []

    def edit() -> None:
        subject.backbone.forget_images()
        outcomes = model.edit_many(some, batch=batch, keep=True, preview=True)
        steps.append(statistics.mean(outcome.steps for outcome in outcomes))

    found = [plan.timed(edit)]
    if found[0] < plan.seconds / 2:  # that was to warm up; where it is long it makes no difference
        found.clear()
    while len(found) < plan.rounds and sum(found) < plan.seconds / 2:
        found.append(plan.timed(edit))
    return {
        "batch": batch,
        "refined": refined,
        "seconds": statistics.median(found) / batch,
        "steps": statistics.mean(steps),
        "in_force": len(subject.made.ids),
        "rounds": len(found),
    }


@torch.no_grad()
def agreement(subject: Subject) -> dict[str, float]:
    """Routing on the device against routing in float32 on the CPU, with the edits in force.

    Returns:
        For ``routing`` (features from the device, compared on the CPU) and ``extracted`` (features
        extracted on the CPU, too, from the device's states): ``..._percent`` of the decisions
        whether an expert passes that agree, and ``..._weight``, the largest difference of weights.
    """
    network, pool = subject.network, subject.edited.store.pool()
    there = copy.deepcopy(network).cpu()
    edits = features_of_keys(pool.keys.whole)
    kept = EditFeatures(vision=edits.vision.cpu(), prompt=edits.prompt.cpu(), sees=edits.sees.cpu())
    eligible = pool.eligible.cpu()
    fired, decisions = 0, 0
    alike = {"routing": 0, "extracted": 0}
    apart = {"routing": 0.0, "extracted": 0.0}
    for query, states, features in asked_of(subject):
        here = route_in(network.router, features, pool)
        other: dict[str, Route] = {
            "routing": there.router.route(features.map(Tensor.cpu), kept, eligible),
            "extracted": there.router.route(
                features_of(there, query, states.cpu()), kept, eligible
            ),
        }
        passes, weights = here.passes.cpu(), here.weights.cpu()
        decisions += passes.numel()
        fired += int(passes.sum())
        for name, route in other.items():
            alike[name] += int((route.passes == passes).sum())
            apart[name] = max(apart[name], (route.weights - weights).abs().max().item())
    return {
        "edits": len(kept.sees),
        "decisions": decisions,
        "passes": fired,
        **{f"{name}_percent": 100 * count / decisions for name, count in alike.items()},
        **{f"{name}_weight": value for name, value in apart.items()},
    }
