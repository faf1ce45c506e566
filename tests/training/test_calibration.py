"""The margin's curve against routing every query by itself."""

from itertools import islice

import pytest
import torch

from liveedit.benchmark.emoji_edit import training_cases
from liveedit.benchmark.views import OTHER_IMAGE
from liveedit.config import EditorConfig
from liveedit.network import EditorNetwork
from liveedit.representation import measure_scale
from liveedit.training.calibration import MARGINS, calibrate, routing_curve
from liveedit.training.routing import FIRES
from liveedit.training.states import CachedViews, cache_views

CASES, GROUP = 7, 3  # the last group is a tail of one


@pytest.fixture(scope="module")
def views(backbone, tmp_path_factory) -> CachedViews:
    some = list(islice(training_cases(), CASES))
    return cache_views(backbone, some, tmp_path_factory.mktemp("states"))


@pytest.fixture
def network(backbone, views) -> EditorNetwork:
    torch.manual_seed(0)
    network = EditorNetwork(EditorConfig(width=32, heads=2, vectors=2), backbone.width)
    network.set_scale(measure_scale(views.all_states))
    network.router.prompt_bias.data.fill_(3)
    network.router.prompt_scale.data.fill_(30)
    return network.eval()


@torch.no_grad()
def test_the_curve_is_that_of_queries_routed_one_by_one(backbone, views, network) -> None:
    network.router.margin.fill_(0.125)
    curve = routing_curve(backbone, network, views, group=GROUP)
    assert network.router.margin.item() == 0.125

    def features(case: int, view: int):
        batch = views.batch(torch.tensor([case]), torch.tensor([view]))
        return network.extractor(batch.representation(backbone, network.scale))

    for index in (20, 32, 36):
        network.router.margin.fill_(MARGINS[index])
        for view in range(len(views.names)):
            fired = 0
            for case in range(CASES):
                start = case // GROUP * GROUP
                group = list(range(start, min(start + GROUP, CASES)))
                edits = [features(one, 0) for one in group]
                weights = network.router.route(
                    features(case, view),
                    torch.cat([edit.vision for edit in edits]),
                    torch.cat([edit.prompt for edit in edits]),
                    torch.ones(len(group), dtype=torch.bool),
                ).weights[0]
                hit = weights[case - start] if view < OTHER_IMAGE else weights.max()
                fired += int(hit >= FIRES)
            assert curve[index, view].item() == pytest.approx(fired / CASES)
    assert 0 < curve.mean() < 1, "the example decides nothing"


def test_calibration_takes_the_best_margin(backbone, views, network) -> None:
    found = calibrate(backbone, network, views)
    curve = routing_curve(backbone, network, views, group=100)
    assert network.router.margin.item() == found.margin
    at = (found.margin == MARGINS).nonzero().item()
    assert list(found.fired.values()) == pytest.approx(curve[at].tolist())

    def score(index: int) -> float:
        return float(curve[index, :OTHER_IMAGE].sum() - curve[index, OTHER_IMAGE:].sum())

    assert all(score(at) >= score(index) - 1e-6 for index in range(len(MARGINS)))
