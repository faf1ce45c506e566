"""LiveEdit's training as published: generator, extractors and routing together, on one batch.

Losses and mixing follow the paper's equations (arXiv 2411.15432, section on training), not the
authors' code where the two differ:

- the residual is added where inference adds it, at the output of the edit layer;
- the whole batch's experts are mixed into every query, by the soft router alone;
- the negatives of routing are the edit-side features of the batch's corrections, and for the
  relative and absolute losses of its locality samples, too.

"Locality" is another picture with another question: another correction's. The strict cases are not
trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Bool, Int, Shaped
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from liveedit.backbones.base import Backbone
from liveedit.config import Config
from liveedit.data.cached_states import DEFAULT_LIMIT, CachedViews, ViewBatch, cache_views
from liveedit.data.emoji_edit.corrections import training_cases, validation_set
from liveedit.data.emoji_edit.targets import random_words, vocabulary_words
from liveedit.data.views import EDIT, REDRAWN, REPHRASE, TAUGHT
from liveedit.distributed import gather, processes, share
from liveedit.methods.liveedit.checkpoint import save_editor
from liveedit.methods.liveedit.config import EditorConfig
from liveedit.methods.liveedit.experts import Experts
from liveedit.methods.liveedit.features import RoutingFeatures
from liveedit.methods.liveedit.generator import PlainGenerator
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.methods.liveedit.representation import Representation, StateScale
from liveedit.methods.liveedit.residual import RoutedExperts
from liveedit.training.curve import Validation
from liveedit.training.data import Pictured, TrainingData
from liveedit.training.editor import Extract, extracting, new_network, parameters
from liveedit.training.estimate import Estimate, Kept, Steps, estimate
from liveedit.training.expert_losses import losses_with
from liveedit.training.loop import LoopConfig, train
from liveedit.training.validation import published_validation

LOSSES = ("reliability", "generality", "locality", "hard", "absolute", "relative")

_BEGUN_WITH = 1024  # corrections that the generator's first weights are fitted to
_BATCH = 64
_TAUGHT = TAUGHT[: REDRAWN + 1]  # nothing is learned from the strict cases
_HELD = (*_TAUGHT, "elsewhere")

EDITOR = EditorConfig(
    rank=4,
    shared_extractor=False,
    unit_features=False,
    aligned_slots=False,
    prompt_filter=False,
    joint_relative=False,
    text_router=False,
    subject_filter=False,
    picture_filter=False,
    context_gain=0.0,
    by_line=False,
)
# what each of the published ablations changes, in the editor's settings or in a loss's weight
VARIANTS: dict[str, dict[str, bool | float]] = {
    "full": {},
    "no-absolute": {"absolute": 0.0},
    "no-relative": {"relative": 0.0},
    "no-soft": {"soft_routing": False, "absolute": 0.0, "relative": 0.0},
    "unguided": {"prompt_guided": False},
    "no-hard": {"hard_routing": False},
}


class PublishedTraining(Config):
    """Settings of the published training.

    Args:
        editor: Architecture.
        corrections: Training corrections to draw.
        random_words: Share of them whose target is words at random, so that the generator learns
            to carry any token over, and not the few that the training's concepts are named by.
        loop: Steps, rate, checkpoints.
        batch: Corrections in a batch that experts are made for.
        routing_batch: Corrections that routing is learned on in a step, those of the batch among
            them: extracting features is cheap beside the pass through the layers above.
        reliability, generality, locality, hard, absolute, relative: Weights of the losses.
        validation: Validation corrections that the curve is of, at most; 0 for no curve.
        choose: Weights to end with: the last, as published, or those that were best on validation.
        seed: Seed of everything random.
    """

    editor: EditorConfig = EDITOR
    corrections: int = 4352
    random_words: float = Field(default=0.5, ge=0.0, le=1.0)
    loop: LoopConfig = LoopConfig(steps=1400, learning_rate=1e-3)
    batch: int = 12
    routing_batch: int = 64
    reliability: float = 1.0
    generality: float = 1.0
    locality: float = 1.0
    hard: float = 1.0
    absolute: float = 1.0
    relative: float = 1.0
    validation: int = Field(default=200, ge=0)
    choose: Literal["best", "last"] = "last"
    seed: int = 0

    def variant(self, name: str) -> PublishedTraining:
        """These settings with what a published ablation changes; see ``VARIANTS``."""
        changes = VARIANTS[name]
        losses = {key: value for key, value in changes.items() if key in LOSSES}
        switches = {key: value for key, value in changes.items() if key not in LOSSES}
        return self.model_copy(update={**losses, "editor": self.editor.model_copy(update=switches)})


def train_published(
    backbone: Backbone,
    folder: Path,
    config: PublishedTraining,
    *,
    data: TrainingData | None = None,
    states: Path | None = None,
    states_limit: int = DEFAULT_LIMIT,
    told: Callable[[Estimate], object] | None = None,
) -> Path:
    """Train an editor as published; arguments and result are those of ``train_editor``."""
    backbone.model.requires_grad_(False)
    some: Sequence[Pictured] = (
        list(islice(training_cases(), config.corrections)) if data is None else data.cases
    )
    targets = _targets(backbone, some, config)
    answers = [[target] * len(_TAUGHT) for target in targets]
    where = states or folder / "states"
    back = (validation_set(config.validation) if data is None else data.held)[: config.validation]
    if told is not None:
        kept = [Kept(cases=some, names=_TAUGHT, targets=targets), Kept(cases=back, names=_HELD)]
        steps = partial(_steps, backbone, config)
        told(estimate(backbone, kept, where, limit=states_limit, steps=steps))
    views = cache_views(backbone, some, where, names=_TAUGHT, answers=answers, limit=states_limit)
    network = new_network(config.editor, backbone, views, config.seed)
    if network.edit_extractor is not None:  # what is equal begins equal on both sides
        network.edit_extractor.load_state_dict(network.extractor.state_dict())
    if isinstance(network.generator, PlainGenerator):
        _begin(network.generator, backbone, network.scale, views)
    routed = max(config.batch, min(config.routing_batch, len(views) // 2))

    def losses(step: int) -> dict[str, Tensor]:
        chosen, elsewhere = torch.randperm(len(views))[: 2 * routed].chunk(2)
        return published_losses(backbone, network, views, chosen, elsewhere, config.batch)

    weights = {name: getattr(config, name) for name in LOSSES}
    learned = parameters(network, "")
    validate: Validation | None = None
    if back:
        held = cache_views(backbone, back, where, names=_HELD, limit=states_limit)
        validate = partial(published_validation, backbone, network, held)
    train(
        losses, weights, learned, config.loop, folder / "published", seed=config.seed,
        validate=validate, choose_best=config.choose == "best",
    )  # fmt: skip
    if processes().is_main_process:
        save_editor(network, backbone.fingerprint(), folder / "editor")
        (folder / "training.json").write_text(config.model_dump_json(indent=2))
    return folder / "editor"


def _steps(backbone: Backbone, config: PublishedTraining, sample: CachedViews) -> list[Steps]:
    """A step on a sample, to measure."""
    network = new_network(config.editor, backbone, sample, config.seed)
    half = len(sample) // 2
    chosen, elsewhere = torch.arange(2 * half).chunk(2)

    def step() -> Tensor:
        losses = published_losses(backbone, network, sample, chosen, elsewhere, half)
        return torch.stack([losses[name] for name in LOSSES]).sum()

    times = config.batch / half
    return [Steps(name="published", count=config.loop.steps, times=times, step=step)]


def _targets(backbone: Backbone, cases: Sequence[Pictured], config: PublishedTraining) -> list[str]:
    """Each correction's target, or random words for the configured share of them."""
    words = vocabulary_words(backbone.tokenizer.get_vocab())
    plain = round(len(cases) * (1 - config.random_words))
    return [
        case.target if place < plain else random_words(words, case.index)
        for place, case in enumerate(cases)
    ]


def _begin(
    generator: PlainGenerator, backbone: Backbone, scale: StateScale, views: CachedViews
) -> None:
    """Start the generator from the targets of some corrections, see `PlainGenerator.begin`."""
    before, states, embeddings = [], [], []
    for cases in torch.randperm(len(views))[:_BEGUN_WITH].split(_BATCH):
        seen = views.batch(cases, torch.full_like(cases, EDIT))
        whole = seen.representation(backbone, scale, lexical=True)
        assert whole.lexical is not None
        before.append(whole.states[whole.spans.predicts])
        states.append(whole.states[whole.spans.target])
        embeddings.append(whole.lexical[whole.spans.target])
    generator.begin(torch.cat(before), torch.cat(states), torch.cat(embeddings))


def published_losses(
    backbone: Backbone,
    network: EditorNetwork,
    views: CachedViews,
    chosen: Int[Tensor, " routed"],
    elsewhere: Int[Tensor, " routed"],
    batch: int,
) -> dict[str, Tensor]:
    """Unweighted losses of a batch of corrections, of which each process computes its part.

    Args:
        backbone: The frozen model.
        network: The editor.
        views: All corrections.
        chosen: Those that routing is learned on.
        elsewhere: Others, whose pictures and questions are the locality samples.
        batch: The first so many of both are edited.

    Returns:
        ``reliability``, ``generality``: cross-entropy of the target's tokens, for the correction
        and for a rephrased question or redrawn picture. ``locality``: KL(unedited || edited) on
        another picture and question. ``hard``, ``absolute``, ``relative``: see
        :func:`routing_losses`. ``rel``, ``loc``: tokens right in the first, and unchanged in the
        third, for the log.
    """
    routed = len(chosen)
    coin = torch.randint(0, 2, (3, routed))
    general = torch.where(coin[0] == 0, REPHRASE, REDRAWN)
    itself = torch.full((routed,), EDIT)
    kinds = torch.stack([itself, general, itself])
    whose = torch.stack([chosen, chosen, elsewhere])
    # either end of routing gets the correction itself or its generality sample, independently
    ends = coin[1:] == 0
    away = torch.randint(1, routed, ()).item()

    first, rest = slice(0, batch), slice(batch, None)
    with extracting(backbone):
        edited = _edited(backbone, network, views, whose[:, first], kinds[:, first], ends[:, first])
        sides = [edited.sides()]
        if routed > batch:
            sides.append(
                _routed(backbone, network, views, whose[:, rest], kinds[:, rest], ends[:, rest])
            )
    inputs, edits, local_inputs, local_edits = (
        RoutingFeatures.join(side) for side in zip(*sides, strict=True)
    )
    negative = (torch.arange(routed, device=inputs.sees.device) + away) % routed
    losses = routing_losses(inputs, edits, local_inputs, local_edits, negative)
    rows = len(edited.inputs.sees)
    made = network.generator(edited.whole.rows(slice(0, rows // 3)))
    every = Experts(u=gather(made.u), v=gather(made.v))
    if network.config.soft_routing:
        asked = edited.inputs.prompt @ gather(edited.edits.prompt[: rows // 3]).T
        weights = asked.sigmoid() * asked.softmax(1)
    else:
        weights = torch.ones(rows, batch, device=made.u.device)
    mixed = RoutedExperts(
        experts=Experts(
            u=every.u.flatten(0, 1).expand(rows, -1, -1),
            v=every.v.flatten(0, 1).expand(rows, -1, -1),
        ),
        weights=weights,
    )
    return losses | losses_with(backbone, network.scale, edited.seen, edited.whole.spans, mixed)


def routing_losses(
    inputs: RoutingFeatures,
    edits: RoutingFeatures,
    local_inputs: RoutingFeatures,
    local_edits: RoutingFeatures,
    negative: Int[Tensor, " batch"],
) -> dict[str, Tensor]:
    """The three routing losses of a batch, means over it; similarities are dot products.

    Args:
        inputs: Input-side features of the corrections, row by row of what ``edits`` are.
        edits: Edit-side features of the corrections.
        local_inputs: Input-side features of the locality samples.
        local_edits: Edit-side features of the locality samples.
        negative: For each correction another one, the negative of the absolute loss.

    Returns:
        ``hard``: ``NCE(phi_g, phi^_g, Phi^ + sentinel_g) + NCE(phi_l, sentinel_l, Phi^ +
        sentinel_l)`` with the corrections' edit-side features as Phi^. ``absolute``: ``-log s(psi_g
        psi^_g) - log(1 - s(psi_g psi^_neg))``, the negative a locality sample as often as another
        correction. ``relative``: ``NCE(psi_g, psi^_g, {psi^_gj} + {psi^_lj})``.
    """
    own = torch.arange(len(edits.sees), device=edits.sees.device)
    seen, local = inputs.vision @ edits.vision.T, local_inputs.vision @ edits.vision.T
    sentinel = (inputs.vision * inputs.sentinel).sum(1, keepdim=True)
    local_sentinel = (local_inputs.vision * local_inputs.sentinel).sum(1, keepdim=True)
    asked = inputs.prompt @ torch.cat([edits.prompt, local_edits.prompt]).T
    other = torch.where(own % 2 == 0, negative, len(own) + negative)
    return {
        "hard": F.cross_entropy(torch.cat([seen, sentinel], 1), own)
        + F.cross_entropy(
            torch.cat([local, local_sentinel], 1), torch.full_like(own, local.shape[1])
        ),
        "absolute": (F.softplus(-asked[own, own]) + F.softplus(asked[own, other])).mean(),
        "relative": F.cross_entropy(asked, own),
    }


@dataclass(frozen=True)
class _Part:
    """This process's rows of some corrections: themselves, generality, then locality samples.

    Args:
        seen: Cached states.
        whole: The same, standardised.
        inputs, edits: Features of all rows on either side.
        ends: For input and edit end of routing, whether it gets the correction itself.
    """

    seen: ViewBatch
    whole: Representation
    inputs: RoutingFeatures
    edits: RoutingFeatures
    ends: Bool[Tensor, "2 corrections"]

    def sides(self) -> tuple[RoutingFeatures, ...]:
        """What routing is learned on, from all processes; see :func:`routing_losses`."""
        away = slice(2 * self.ends.shape[1], None)
        chosen = (
            _ends(self.inputs, self.ends[1]),
            _ends(self.edits, self.ends[0]),
            self.inputs.rows(away),
            self.edits.rows(away),
        )
        return tuple(side.map(gather) for side in chosen)


def _edited(
    backbone: Backbone,
    network: EditorNetwork,
    views: CachedViews,
    whose: Int[Tensor, "3 corrections"],
    kinds: Int[Tensor, "3 corrections"],
    ends: Bool[Tensor, "2 corrections"],
) -> _Part:
    """All views of the corrections that experts are made for, on both sides."""
    mine = share(torch.arange(whose.shape[1]))
    seen = views.batch(whose[:, mine].flatten(), kinds[:, mine].flatten())
    whole = seen.representation(backbone, network.scale, lexical=network.config.aligned_slots)
    return _Part(seen, whole, network.extractor(whole), network.edit_features(whole), ends[:, mine])


def _routed(
    backbone: Backbone,
    network: EditorNetwork,
    views: CachedViews,
    whose: Int[Tensor, "3 corrections"],
    kinds: Int[Tensor, "3 corrections"],
    ends: Bool[Tensor, "2 corrections"],
) -> tuple[RoutingFeatures, ...]:
    """Of corrections that only routing is learned on what it reads: one view for each end."""
    mine = share(torch.arange(whose.shape[1]))
    itself, general, elsewhere = range(3)

    def end(own: Bool[Tensor, " corrections"], extract: Extract) -> Sequence[RoutingFeatures]:
        seen = views.batch(
            whose[[itself, elsewhere]][:, mine].flatten(),
            torch.cat(
                [torch.where(own, kinds[itself], kinds[general])[mine], kinds[elsewhere, mine]]
            ),
        )
        found = extract(seen.representation(backbone, network.scale))
        return found.rows(slice(0, len(mine))), found.rows(slice(len(mine), None))

    inputs, local_inputs = end(ends[1], network.extractor)
    edits, local_edits = end(ends[0], network.edit_features)
    return tuple(side.map(gather) for side in (inputs, edits, local_inputs, local_edits))


def _ends(features: RoutingFeatures, own: Bool[Tensor, " batch"]) -> RoutingFeatures:
    """Of corrections and generality samples behind each other one of each pair."""

    def choose(both: Shaped[Tensor, "rows ..."]) -> Tensor:
        count = len(own)
        first, second = both[:count], both[count : 2 * count]
        chosen = own.to(both.device).view(-1, *[1] * (both.ndim - 1))
        return torch.where(chosen, first, second)

    return features.map(choose)
