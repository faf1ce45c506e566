import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from liveedit.routing import FeatureExtractor, Route, Router, RoutingFeatures
from tests.batches import batch_of, random_row

FEATURES = 12


def slow_route(
    router: Router, queries: RoutingFeatures, vision: Tensor, prompt: Tensor, eligible: Tensor
) -> list[list[float]]:
    """The paper's two equations, with the learned scales, one query and one expert at a time.

    ``E = {e : phi . phi_e > phi . phi_Theta + margin}``,
    ``w_e = sigmoid(psi . psi_e) softmax_E(psi . psi_e)``.
    """
    weights = []
    for q in range(len(queries.vision)):
        phi, psi, theta = queries.vision[q], queries.prompt[q], queries.sentinel[q]
        seen = [float(router.vision_scale * (phi @ phi_e)) for phi_e in vision]
        threshold = float(router.vision_scale * (phi @ theta) + router.margin)
        asked = [
            float(router.prompt_scale * (psi @ psi_e) + router.prompt_bias) for psi_e in prompt
        ]
        passes = [
            e for e in range(len(vision)) if seen[e] > threshold and queries.sees[q] and eligible[e]
        ]
        total = sum(math.exp(asked[e]) for e in passes)
        weights.append(
            [
                math.exp(asked[e]) / total / (1 + math.exp(-asked[e])) if e in passes else 0.0
                for e in range(len(vision))
            ]
        )
    return weights


def unit(*shape: int) -> Tensor:
    return F.normalize(torch.randn(*shape), dim=-1)


def some_queries(count: int) -> RoutingFeatures:
    return RoutingFeatures(
        vision=unit(count, FEATURES),
        prompt=unit(count, FEATURES),
        sentinel=unit(count, FEATURES),
        sees=torch.ones(count, dtype=torch.bool),
    )


@pytest.fixture
def router() -> Router:
    torch.manual_seed(0)
    router = Router()
    router.margin.fill_(0.3)
    router.prompt_bias.data.fill_(-0.5)
    return router


def route(
    router: Router, queries: RoutingFeatures, vision: Tensor, prompt: Tensor, *barred: int
) -> Route:
    eligible = torch.ones(len(vision), dtype=torch.bool)
    eligible[list(barred)] = False
    return router.route(queries, vision, prompt, eligible)


@torch.no_grad()
def test_equals_the_papers_equations(router):
    queries, vision, prompt = some_queries(5), unit(7, FEATURES), unit(7, FEATURES)
    found = route(router, queries, vision, prompt, 2)
    expected = slow_route(router, queries, vision, prompt, torch.arange(7) != 2)
    torch.testing.assert_close(found.weights, torch.tensor(expected))
    assert 0 < found.passes.sum() < found.passes.numel(), "the example decides nothing"
    assert torch.equal(found.passes, found.weights > 0)


@torch.no_grad()
def test_margin_moves_the_threshold(router):
    queries, vision, prompt = some_queries(5), unit(7, FEATURES), unit(7, FEATURES)
    before = route(router, queries, vision, prompt)
    router.margin.fill_(1e6)
    after = route(router, queries, vision, prompt)
    assert before.weights.any()
    assert not after.weights.any()
    assert torch.equal(before.vision, after.vision)


@torch.no_grad()
def test_rows_without_a_picture_route_to_nothing(router):
    queries, vision, prompt = some_queries(2), unit(7, FEATURES), unit(7, FEATURES)
    # both rows would pass everything if they saw anything
    queries = RoutingFeatures(
        vision=vision[:1].expand(2, -1),
        prompt=queries.prompt,
        sentinel=-vision[:1].expand(2, -1),
        sees=torch.tensor([False, True]),
    )
    router.margin.fill_(-10.0)
    found = route(router, queries, vision, prompt)
    assert found.weights[0].tolist() == [0.0] * 7
    assert found.weights[1].any()


@torch.no_grad()
def test_experts_that_may_not_be_chosen_leave_the_softmax_to_the_others(router):
    queries, vision, prompt = some_queries(4), unit(6, FEATURES), unit(6, FEATURES)
    router.margin.fill_(-100.0)
    kept = [0, 2, 5]
    barred = route(router, queries, vision, prompt, 1, 3, 4)
    alone = route(router, queries, vision[kept], prompt[kept])
    torch.testing.assert_close(barred.weights[:, kept], alone.weights)
    assert not barred.weights[:, [1, 3, 4]].any()


@torch.no_grad()
def test_empty_pool(router):
    nothing = torch.zeros(0, FEATURES)
    found = route(router, some_queries(3), nothing, nothing)
    assert found.weights.shape == found.passes.shape == (3, 0)


@torch.no_grad()
def test_batch_gives_what_its_rows_give(router):
    queries, vision, prompt = some_queries(4), unit(6, FEATURES), unit(6, FEATURES)
    whole = route(router, queries, vision, prompt)
    for row in range(4):
        alone = route(router, queries.rows(slice(row, row + 1)), vision, prompt)
        torch.testing.assert_close(alone.weights[0], whole.weights[row])


def test_gradients_are_finite_when_some_queries_pass_nothing(router):
    queries, vision, prompt = some_queries(3), unit(5, FEATURES), unit(5, FEATURES)
    queries.sees[0] = False
    found = route(router, queries, vision.requires_grad_(), prompt.requires_grad_())
    found.weights.sum().backward()
    assert found.weights[1:].any()
    assert prompt.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in (router.prompt_scale, router.prompt_bias))


# what follows is about the features that are routed on


@pytest.fixture
def extractor() -> FeatureExtractor:
    torch.manual_seed(0)
    return FeatureExtractor(
        state_width=10,
        width=8,
        vectors=3,
        heads=2,
        sentinel_tokens=4,
        dropout=0.5,
        prompt_guided=True,
        unit=True,
    ).eval()


@torch.no_grad()
def test_features_of_a_batch_are_those_of_its_rows(extractor):
    rows = [random_row(10, vision=4, prompt=words) for words in (1, 3, 6)]
    rows.append(random_row(10, vision=0, prompt=2))
    whole = extractor(batch_of(rows, padding=2))
    assert whole.sees.tolist() == [True, True, True, False]
    alone = RoutingFeatures.join([extractor(batch_of([row])) for row in rows])
    for name in ("vision", "prompt", "sentinel", "sees"):
        torch.testing.assert_close(getattr(whole, name), getattr(alone, name))


@torch.no_grad()
def test_features_are_unit_length_and_a_dot_product_is_the_mean_cosine(extractor):
    found = extractor(batch_of([random_row(10, vision=4, prompt=3) for _ in range(2)]))
    for features in (found.vision, found.prompt, found.sentinel):
        assert features.shape == (2, 3 * 8)
        torch.testing.assert_close(features.norm(dim=1), torch.ones(2))
    first, second = found.vision.unflatten(1, (3, 8))
    cosines = F.cosine_similarity(first, second, dim=-1)
    torch.testing.assert_close(found.vision[0] @ found.vision[1], cosines.mean())


@torch.no_grad()
def test_each_feature_reads_its_own_spans(extractor):
    row, other = (random_row(10, vision=4, prompt=3) for _ in range(2))
    base = extractor(batch_of([row]))
    repainted = extractor(batch_of([replace(row, vision=other.vision)]))
    reworded = extractor(batch_of([replace(row, prompt=other.prompt)]))
    assert not torch.allclose(base.vision, repainted.vision)
    torch.testing.assert_close(base.prompt, repainted.prompt)
    torch.testing.assert_close(base.sentinel, repainted.sentinel)
    assert not torch.allclose(base.vision, reworded.vision), "phi is guided by the prompt"
    assert not torch.allclose(base.prompt, reworded.prompt)
    assert not torch.allclose(base.sentinel, reworded.sentinel), "so is the sentinel's"


@torch.no_grad()
def test_dropout_acts_in_training_only(extractor):
    batch = batch_of([random_row(10, vision=4, prompt=3)])
    assert torch.equal(extractor(batch).prompt, extractor(batch).prompt)
    extractor.train()
    assert not torch.equal(extractor(batch).prompt, extractor(batch).prompt)
