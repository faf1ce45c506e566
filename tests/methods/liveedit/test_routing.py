import math
from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from liveedit.methods.liveedit.extractor import FeatureExtractor
from liveedit.methods.liveedit.features import EditFeatures, RoutingFeatures
from liveedit.methods.liveedit.routing import Router
from liveedit.methods.route import Route
from tests.batches import batch_of, random_row

FEATURES = 12
SWITCHES = ("hard", "soft", "ask", "joint", "text", "subject")


def slow_route(
    router: Router, queries: RoutingFeatures, edits: EditFeatures, eligible: Tensor
) -> list[list[float]]:
    """The equations with the learned scales and margins, one query and one expert at a time.

    The paper's, with hard and soft: ``E = {e : phi . phi_e > phi . phi_Theta}``,
    ``w_e = sigmoid(psi . psi_e) softmax_E(psi . psi_e)``. Ours: the threshold grows with the log of
    the number of edits, with ask E has only experts of ``psi . psi_e > 0``, with joint it is
    ``softmax_E(psi . psi_e + phi . phi_e)``, with text there is, for queries without a picture,
    ``E = {e : psi . psi_e > 0}`` of edits without one, and with subject phi is compared there, too.
    """
    weights = []
    for q in range(len(queries.vision)):
        phi, psi, theta = queries.vision[q], queries.prompt[q], queries.sentinel[q]
        crowd = math.log(max(1, sum(bool(one) for one in eligible[q] & edits.sees)))
        threshold = float(router.vision_scale * (phi @ theta) + router.margin)
        threshold += float(router.crowding) * crowd
        asked, scores = {}, {}
        for e in range(len(edits.vision)):
            seen = float(router.vision_scale * (phi @ edits.vision[e]))
            alike = psi @ edits.prompt[e]
            if queries.sees[q]:
                ask = float(router.prompt_scale * alike + router.prompt_bias - router.prompt_margin)
                passes = bool(edits.sees[e])
                passes = passes and (seen > threshold or not router.hard)
                passes = passes and (ask > 0 or not router.ask)
                score = ask + seen if router.joint else ask
            else:
                ask = float(router.text_scale * alike + router.text_bias - router.text_margin)
                passes = router.text and not edits.sees[e] and ask > 0
                score = ask
                if router.subject:
                    seen = float(router.subject_scale * (phi @ edits.vision[e]))
                    seen += float(router.subject_bias)
                    passes = passes and (seen > float(router.subject_margin) or not router.hard)
                    score = ask + seen if router.joint else ask
            if passes and eligible[q, e]:
                asked[e], scores[e] = ask, score
        total = sum(math.exp(score) for score in scores.values())
        row = [0.0] * len(edits.vision)
        for e, ask in asked.items():
            row[e] = math.exp(scores[e]) / total / (1 + math.exp(-ask)) if router.soft else 1.0
        weights.append(row)
    return weights


def unit(*shape: int) -> Tensor:
    return F.normalize(torch.randn(*shape), dim=-1)


def alternating(count: int) -> Tensor:
    return torch.arange(count) % 2 == 0


def some_queries(count: int) -> RoutingFeatures:
    """Every other one has a picture, from the first on."""
    return RoutingFeatures(
        vision=unit(count, FEATURES),
        prompt=unit(count, FEATURES),
        sentinel=unit(count, FEATURES),
        sees=alternating(count),
    )


def some_edits(count: int) -> EditFeatures:
    """Every other one has a picture, from the first on."""
    return EditFeatures(
        vision=unit(count, FEATURES), prompt=unit(count, FEATURES), sees=alternating(count)
    )


def some_of(edits: EditFeatures, rows: list[int]) -> EditFeatures:
    return EditFeatures(vision=edits.vision[rows], prompt=edits.prompt[rows], sees=edits.sees[rows])


def some_router(**switches: bool) -> Router:
    """A router that lets a part of what is random through, each of its numbers another."""
    torch.manual_seed(0)
    router = Router(**switches)
    router.prompt_scale.data.fill_(8.0)
    router.prompt_bias.data.fill_(-0.5)
    router.text_scale.data.fill_(12.0)
    router.text_bias.data.fill_(0.7)
    router.margin.fill_(-0.8)
    router.crowding.fill_(0.6)
    router.prompt_margin.fill_(-0.9)
    router.text_margin.fill_(0.4)
    if router.subject:
        router.subject_scale.data.fill_(9.0)
        router.subject_bias.data.fill_(0.3)
        router.subject_margin.fill_(-1.2)
    return router


def open_router(**switches: bool) -> Router:
    """A router whose thresholds let everything through."""
    router = some_router(**switches)
    for margin in (
        router.margin, router.prompt_margin, router.text_margin, router.subject_margin
    ):  # fmt: skip
        margin.fill_(-100.0)
    return router


@pytest.fixture
def router() -> Router:
    return some_router()


def route(router: Router, queries: RoutingFeatures, edits: EditFeatures, *barred: int) -> Route:
    eligible = torch.ones(1, len(edits.vision), dtype=torch.bool)
    eligible[:, list(barred)] = False
    return router.route(queries, edits, eligible)


@torch.no_grad()
@pytest.mark.parametrize("switches", list(product([False, True], repeat=len(SWITCHES))))
def test_equals_the_equations(switches):
    router = some_router(**dict(zip(SWITCHES, switches, strict=True)))
    queries, edits, eligible = some_queries(12), some_edits(20), torch.rand(12, 20) < 0.8
    found = router.route(queries, edits, eligible)
    expected = slow_route(router, queries, edits, eligible)
    torch.testing.assert_close(found.weights, torch.tensor(expected))
    for sees in (True, False) if router.text else (True,):
        passes = found.passes[queries.sees == sees][:, edits.sees == sees]
        assert 0 < passes.sum() < passes.numel(), "the example decides nothing"
    assert torch.equal(found.passes, found.weights > 0)


@torch.no_grad()
def test_the_papers_rule_by_hand():
    router = Router(learned=False, ask=False, joint=False, text=False)
    queries = RoutingFeatures(
        vision=torch.tensor([[1.0, 0.0]]),
        prompt=torch.tensor([[1.0, -1.0]]),
        sentinel=torch.tensor([[0.5, 0.0]]),
        sees=torch.tensor([True]),
    )
    edits = EditFeatures(
        vision=torch.tensor([[0.9, 0.0], [0.6, 0.0], [0.4, 0.0]]),
        prompt=torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]]),
        sees=torch.tensor([True, True, True]),
    )
    shares = torch.tensor([2.0, -1.0]).softmax(0)
    found = route(router, queries, edits)
    assert found.passes.tolist() == [[True, True, False]]
    torch.testing.assert_close(found.weights[0, :2], torch.tensor([2.0, -1.0]).sigmoid() * shares)


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "sees"),
    [
        ("margin", True),
        ("crowding", True),
        ("prompt_margin", True),
        ("text_margin", False),
        ("subject_margin", False),
    ],
)
def test_each_margin_moves_its_own_threshold_alone(router, name, sees):
    queries, edits = some_queries(8), some_edits(14)
    before = route(router, queries, edits)
    getattr(router, name).fill_(1e6)
    after = route(router, queries, edits)
    concerned = queries.sees == sees
    assert before.weights[concerned].any()
    assert not after.weights[concerned].any()
    assert torch.equal(before.weights[~concerned], after.weights[~concerned])
    assert torch.equal(before.vision, after.vision)


@torch.no_grad()
def test_the_threshold_grows_with_the_pictures_edits_that_may_be_chosen(router):
    queries, edits = replace(some_queries(4), sees=torch.ones(4, dtype=torch.bool)), some_edits(14)
    eligible = torch.zeros(4, 14, dtype=torch.bool)
    eligible[1:, 1::2] = True  # those without a picture do not count
    eligible[2, [4]] = eligible[3, [0, 2, 8]] = True
    crowded = router.route(queries, edits, eligible).threshold
    router.crowding.zero_()
    grown = crowded - router.route(queries, edits, eligible).threshold
    expected = 0.6 * torch.tensor([0.0, 0.0, 0.0, math.log(3)])
    torch.testing.assert_close(grown[:, 0], expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_pictures_and_text_never_meet():
    queries, edits = some_queries(4), some_edits(7)
    found = route(open_router(), queries, edits)
    assert torch.equal(found.passes, queries.sees[:, None] == edits.sees)


@torch.no_grad()
def test_without_the_text_router_rows_without_a_picture_route_to_nothing():
    queries, edits = some_queries(4), some_edits(7)
    found = route(open_router(text=False), queries, edits)
    assert torch.equal(found.passes, queries.sees[:, None] & edits.sees)
    assert not found.weights[~queries.sees].any()


@torch.no_grad()
@pytest.mark.parametrize("hard", [False, True])
def test_without_the_hard_filter_what_is_seen_stops_nothing(hard):
    router = some_router(hard=hard)
    queries, edits = some_queries(8), some_edits(14)
    passes = route(router, queries, edits).passes
    router.margin.fill_(1e6)
    assert torch.equal(route(router, queries, edits).passes, passes) != hard


@torch.no_grad()
@pytest.mark.parametrize("ask", [False, True])
def test_without_the_prompt_filter_what_is_asked_stops_nothing_that_is_seen(ask):
    router = some_router(ask=ask)
    queries, edits = some_queries(8), some_edits(14)
    passes = route(router, queries, edits).passes
    router.prompt_margin.fill_(20.0)
    assert torch.equal(route(router, queries, edits).passes, passes) != ask


@torch.no_grad()
def test_without_the_prompt_filter_text_still_goes_by_what_is_asked():
    queries, edits = some_queries(8), some_edits(14)
    with_filter, without = (route(some_router(ask=ask), queries, edits) for ask in (True, False))
    torch.testing.assert_close(with_filter.weights[~queries.sees], without.weights[~queries.sees])


@torch.no_grad()
def test_without_soft_weights_each_that_passes_weighs_one():
    found = route(some_router(soft=False), some_queries(8), some_edits(14))
    assert torch.equal(found.weights, found.passes.float())


@torch.no_grad()
@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("subject", [False, True])
def test_without_joint_weights_what_is_seen_weighs_nothing(joint, subject):
    router = open_router(joint=joint, subject=subject)
    queries, edits = some_queries(4), some_edits(7)
    before = route(router, queries, edits).weights
    after = route(router, queries, replace(edits, vision=unit(7, FEATURES))).weights
    assert torch.allclose(before[queries.sees], after[queries.sees]) != joint
    same = torch.allclose(before[~queries.sees], after[~queries.sees])
    assert same != (joint and subject)


@torch.no_grad()
def test_experts_that_may_not_be_chosen_leave_the_softmax_to_the_others():
    router, queries, edits = open_router(), some_queries(4), some_edits(6)
    kept = [0, 2, 5]
    barred = route(router, queries, edits, 1, 3, 4)
    alone = route(router, queries, some_of(edits, kept))
    torch.testing.assert_close(barred.weights[:, kept], alone.weights)
    assert barred.weights.any(1).all()
    assert not barred.weights[:, [1, 3, 4]].any()


@torch.no_grad()
def test_empty_pool(router):
    found = route(router, some_queries(3), some_of(some_edits(1), []))
    assert found.weights.shape == found.passes.shape == (3, 0)


@torch.no_grad()
def test_batch_gives_what_its_rows_give(router):
    queries, edits, eligible = some_queries(4), some_edits(14), torch.rand(4, 14) < 0.8
    whole = router.route(queries, edits, eligible)
    for row in range(4):
        some = slice(row, row + 1)
        alone = router.route(queries.rows(some), edits, eligible[some])
        torch.testing.assert_close(alone.weights[0], whole.weights[row])


@pytest.mark.parametrize("nothing", [0, 1])
def test_gradients_are_finite_when_some_queries_pass_nothing(router, nothing):
    queries, edits, eligible = some_queries(6), some_edits(14), torch.ones(6, 14, dtype=torch.bool)
    eligible[nothing] = False
    edits.vision.requires_grad_()
    edits.prompt.requires_grad_()
    found = router.route(queries, edits, eligible)
    found.weights.sum().backward()
    assert not found.weights[nothing].any()
    assert edits.prompt.grad[edits.sees].any()
    assert edits.prompt.grad[~edits.sees].any()
    learned = (edits.vision, edits.prompt, *router.parameters())
    assert all(one.grad.isfinite().all() for one in learned)


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
        subject=True,
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
def test_without_a_picture_the_subject_is_read_in_the_prompt(extractor):
    row, other = (random_row(10, vision=0, prompt=3) for _ in range(2))
    one, two = extractor(batch_of([row, other])).vision
    assert not torch.allclose(one, two)
    assert not torch.allclose(one, extractor(batch_of([row])).prompt[0]), "as what is asked"
    extractor.subject_query = None
    assert not extractor(batch_of([row])).vision.any()


@torch.no_grad()
def test_dropout_acts_in_training_only(extractor):
    batch = batch_of([random_row(10, vision=4, prompt=3)])
    assert torch.equal(extractor(batch).prompt, extractor(batch).prompt)
    extractor.train()
    assert not torch.equal(extractor(batch).prompt, extractor(batch).prompt)
