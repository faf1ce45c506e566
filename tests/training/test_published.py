"""The published training against its equations written out in loops."""

import math
from itertools import islice

import pytest
import torch
from torch.nn import functional as F

from liveedit.cli.train import Variant
from liveedit.data.cached_states import cache_views
from liveedit.data.emoji_edit.corrections import training_cases
from liveedit.data.views import EDIT, REPHRASE
from liveedit.methods.liveedit.checkpoint import load_editor
from liveedit.methods.liveedit.features import RoutingFeatures
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.methods.liveedit.representation import measure_scale
from liveedit.training import published
from liveedit.training.loop import LoopConfig
from liveedit.training.published import (
    EDITOR,
    LOSSES,
    VARIANTS,
    PublishedTraining,
    published_losses,
    routing_losses,
    train_published,
)

COUNT, FEATURES = 4, 6
SMALL = EDITOR.model_copy(update={"width": 32, "heads": 2, "vectors": 2, "rank": 3})


def features(rows: int) -> RoutingFeatures:
    return RoutingFeatures(
        vision=torch.randn(rows, FEATURES),
        prompt=torch.randn(rows, FEATURES),
        sentinel=torch.randn(rows, FEATURES),
        sees=torch.ones(rows, dtype=torch.bool),
    )


def dot(a: torch.Tensor, b: torch.Tensor) -> float:
    return sum(float(x) * float(y) for x, y in zip(a, b, strict=True))


def nce(positive: float, candidates: list[float]) -> float:
    """Candidates include the positive."""
    return -math.log(math.exp(positive) / sum(math.exp(one) for one in candidates))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_routing_losses_equal_their_equations() -> None:
    torch.manual_seed(0)
    inputs, edits, local_inputs, local_edits = (features(COUNT) for _ in range(4))
    negative = torch.tensor([2, 3, 0, 1])
    found = routing_losses(inputs, edits, local_inputs, local_edits, negative)
    hard = absolute = relative = 0.0
    for g in range(COUNT):
        phi, psi = inputs.vision[g], inputs.prompt[g]
        against = [dot(phi, edits.vision[j]) for j in range(COUNT)]
        hard += nce(against[g], [*against, dot(phi, inputs.sentinel[g])])
        phi = local_inputs.vision[g]
        against = [dot(phi, edits.vision[j]) for j in range(COUNT)]
        threshold = dot(phi, local_inputs.sentinel[g])
        hard += nce(threshold, [*against, threshold])
        source = edits if g % 2 == 0 else local_edits
        absolute -= math.log(sigmoid(dot(psi, edits.prompt[g])))
        absolute -= math.log(1 - sigmoid(dot(psi, source.prompt[int(negative[g])])))
        asked = [dot(psi, one.prompt[j]) for one in (edits, local_edits) for j in range(COUNT)]
        relative += nce(asked[g], asked)
    expected = {"hard": hard, "absolute": absolute, "relative": relative}
    assert {name: value.item() for name, value in found.items()} == pytest.approx(
        {name: value / COUNT for name, value in expected.items()}, rel=1e-4
    )


@pytest.fixture(scope="module")
def views(backbone, tmp_path_factory):
    some = list(islice(training_cases(), 6))
    return cache_views(backbone, some, tmp_path_factory.mktemp("states"))


@pytest.mark.parametrize("variant", ["full", "no-soft"])
def test_edit_losses_mix_the_whole_batchs_experts(backbone, views, variant, monkeypatch) -> None:
    """Every query by itself, every expert added by itself, weights from the equation."""
    torch.manual_seed(1)
    config = PublishedTraining(editor=SMALL).variant(variant)
    network = EditorNetwork(config.editor, backbone.width).eval()
    network.set_scale(measure_scale(views.all_states))
    drawn = torch.zeros(3, 5, dtype=torch.long)
    monkeypatch.setattr(published.torch, "randint", lambda _low, high, shape: (
        drawn if shape else torch.tensor(1)
    ))  # fmt: skip
    chosen, elsewhere = torch.tensor([5, 0, 3]), torch.tensor([1, 4, 2])
    # two more corrections that routing alone is learned on
    chosen_too, elsewhere_too = torch.tensor([1, 2]), torch.tensor([0, 5])
    with torch.no_grad():
        found = published_losses(
            backbone, network, views,
            torch.cat([chosen, chosen_too]), torch.cat([elsewhere, elsewhere_too]), batch=3,
        )  # fmt: skip

    def features_of(case: int, view: int):
        batch = views.batch(torch.tensor([case]), torch.tensor([view]))
        return batch, batch.representation(backbone, network.scale)

    with torch.no_grad():
        experts, keys = [], []
        for case in chosen.tolist():
            _, whole = features_of(case, EDIT)
            experts.append(network.generator(whole))
            keys.append(network.edit_extractor(whole).prompt[0])
        expected = {}
        for name, cases, view in (("reliability", chosen, EDIT), ("generality", chosen, REPHRASE),
                                  ("locality", elsewhere, EDIT)):  # fmt: skip
            terms = []
            for case in cases.tolist():
                batch, whole = features_of(case, view)
                query = network.extractor(whole).prompt[0]
                scores = [dot(query, key) for key in keys]
                total = sum(math.exp(score) for score in scores)
                states = batch.states
                for expert, score in zip(experts, scores, strict=True):
                    weight = sigmoid(score) * math.exp(score) / total if variant == "full" else 1.0
                    activation = F.relu(whole.states @ expert.u[0].T / whole.states.shape[-1])
                    states = states + network.scale.unit * weight * (activation @ expert.v[0])
                predicts = whole.spans.predicts
                logits = backbone.finish(states, batch.attention_mask, predicts).float()
                if name == "locality":
                    plain = backbone.finish(batch.states, batch.attention_mask, predicts).float()
                    ratio = plain.log_softmax(1) - logits.log_softmax(1)
                    terms += (plain.softmax(1) * ratio).sum(1).tolist()
                else:
                    words = batch.input_ids[whole.spans.target]
                    terms += (-logits.log_softmax(1)[range(len(words)), words]).tolist()
            expected[name] = sum(terms) / len(terms)
    assert {name: found[name].item() for name in expected} == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_trains_and_loads(backbone, tmp_path, variant) -> None:
    config = PublishedTraining(
        editor=SMALL, corrections=6, batch=3,
        loop=LoopConfig(steps=2, learning_rate=1e-3, warmup=1),
    ).variant(variant)  # fmt: skip
    folder = train_published(backbone, tmp_path, config)
    network = load_editor(folder, backbone.fingerprint())
    assert network.config == config.editor
    weights = {name: getattr(config, name) for name in LOSSES}
    changed = {name: value for name, value in VARIANTS[variant].items() if name in LOSSES}
    assert weights == {**dict.fromkeys(LOSSES, 1.0), **changed}
    assert network.router.hard == (variant != "no-hard")
    assert network.router.soft == (variant != "no-soft")
    assert (network.extractor.guide is None) == (variant == "unguided")


def test_both_sides_begin_alike(backbone, tmp_path) -> None:
    config = PublishedTraining(
        editor=SMALL, corrections=6, batch=3,
        loop=LoopConfig(steps=1, learning_rate=0.0, weight_decay=0.0),
    )  # fmt: skip
    network = load_editor(train_published(backbone, tmp_path, config), backbone.fingerprint())
    for ours, theirs in zip(
        network.extractor.parameters(), network.edit_extractor.parameters(), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_the_command_offers_every_variant() -> None:
    assert [variant.value for variant in Variant] == list(VARIANTS)
