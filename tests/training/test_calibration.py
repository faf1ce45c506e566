"""How often edits fire at a margin, against routing every query by itself."""

import math
from itertools import islice, product

import pytest
import torch

from liveedit.data.cached_states import CachedViews, cache_views
from liveedit.data.emoji_edit.corrections import training_cases
from liveedit.data.emoji_edit.knowledge import text_cases
from liveedit.data.views import TAUGHT, TEXT_TAUGHT
from liveedit.methods.liveedit.config import EditorConfig
from liveedit.methods.liveedit.features import RoutingFeatures
from liveedit.methods.liveedit.nearest import decide_nearest
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.methods.liveedit.representation import measure_scale
from liveedit.training import calibration
from liveedit.training.calibration import (
    MARGINS,
    OF_ITS_PICTURE,
    PROMPT_MARGINS,
    RECALLED,
    SILENCE,
    calibrate,
    compare,
    fired,
    merit_of,
)

CASES, GROUP = 7, 3  # the last group is a tail of one


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("states")


@pytest.fixture(scope="module")
def views(backbone, folder) -> CachedViews:
    some = list(islice(training_cases(), CASES))
    return cache_views(backbone, some, folder, names=(*TAUGHT, "elsewhere"))


@pytest.fixture(scope="module")
def texts(backbone, folder) -> CachedViews:
    return cache_views(backbone, list(islice(text_cases("train"), 9)), folder, names=TEXT_TAUGHT)


@pytest.fixture
def network(backbone, views) -> EditorNetwork:
    torch.manual_seed(0)
    network = EditorNetwork(EditorConfig(width=32, heads=2, vectors=2), backbone.width)
    network.set_scale(measure_scale(views.all_states))
    for name, bias in (("prompt", -26), ("text", -29)):
        getattr(network.router, f"{name}_scale").data.fill_(30)
        getattr(network.router, f"{name}_bias").data.fill_(bias)
    return network.eval()


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer margins to choose from; with all edits in force thresholds are margins, too."""
    monkeypatch.setattr(calibration, "MARGINS", MARGINS[::8])
    monkeypatch.setattr(calibration, "PROMPT_MARGINS", PROMPT_MARGINS[::3])
    monkeypatch.setattr(calibration, "PICTURE_MARGINS", (0.0, 1.0, math.inf))
    monkeypatch.setattr(calibration, "SUBJECT_MARGINS", calibration.SUBJECT_MARGINS[::8])
    crowdings = torch.arange(3) * 2.0 / math.log(CASES)
    monkeypatch.setattr(calibration, "CROWDINGS", crowdings)


@torch.no_grad()
def shares_one_by_one(backbone, network, views: CachedViews, group: int) -> list[float]:
    """For every view the share of queries whose own edit, or for strict ones any, fires."""

    def features(case: int, view: int) -> RoutingFeatures:
        batch = views.batch(torch.tensor([case]), torch.tensor([view]))
        return network.extractor(batch.representation(backbone, network.scale))

    corrections = [features(case, 0) for case in range(len(views))]
    shares = []
    for view, name in enumerate(views.names):
        hits = 0
        for case in range(len(views)):
            start = case // group * group
            edits = RoutingFeatures.join(corrections[start : start + group])
            eligible = torch.ones(1, len(edits.sees), dtype=torch.bool)
            query = features(case, view)
            weights = decide_nearest(
                network.router,
                network.router.similarities(query, edits),
                eligible,
                torch.tensor([[int((query.sees[:, None] == edits.sees).sum())]]),
                lambda _, likely, others, own=case - start, of=name in OF_ITS_PICTURE: (
                    [of and column == own for column in likely] + [False] * len(others)
                ),
            ).weights[0]
            hits += int((weights[case - start] if name in RECALLED else weights.max()) >= 0.5)
        shares.append(hits / len(views))
    return shares


@pytest.mark.parametrize("crowding", [0.0, 0.5])
def test_shares_are_those_of_queries_routed_one_by_one(backbone, views, network, crowding) -> None:
    router = network.router
    router.margin.fill_(0.125)
    router.crowding.fill_(crowding)
    found = fired(
        router, router.margin, compare(backbone, network, views), MARGINS, group=GROUP
    )  # fmt: skip
    assert router.margin.item() == 0.125
    for index in (20, 32, 36):
        router.margin.fill_(MARGINS[index])
        one_by_one = shares_one_by_one(backbone, network, views, GROUP)
        assert found[index].tolist() == pytest.approx(one_by_one)
    assert 0 < found.mean() < 1, "the example decides nothing"


def test_shares_of_text_only_corrections(backbone, texts, network) -> None:
    router = network.router
    alike = compare(backbone, network, texts)
    found = fired(router, router.text_margin, alike, PROMPT_MARGINS, group=GROUP)
    assert router.text_margin.item() == 0
    for index in (3, 6, 9):
        router.text_margin.fill_(PROMPT_MARGINS[index])
        one_by_one = shares_one_by_one(backbone, network, texts, GROUP)
        assert found[index].tolist() == pytest.approx(one_by_one)
    assert 0 < found.mean() < 1, "the example decides nothing"


@pytest.mark.parametrize("value", [0.0, 4.0])
def test_a_margin_as_it_is_can_be_the_value(backbone, views, network, value) -> None:
    router = network.router
    alike = compare(backbone, network, views)
    router.margin.fill_(value)
    as_it_is = fired(router, router.margin, alike, router.margin[None], group=CASES)
    assert router.margin == value
    there = fired(router, router.margin, alike, torch.tensor([value]), group=CASES)
    assert torch.equal(as_it_is, there)
    if value:
        nothing = fired(router, router.margin, alike, torch.zeros(1), group=CASES)
        assert not torch.equal(as_it_is, nothing), "the example decides nothing"


def merit(shares: dict[str, float], least: float) -> float:
    """Recall, if enough of what should fire nothing does not; in each every view counts alike."""
    recall = [share for name, share in shares.items() if name in RECALLED]
    silent = [1 - share for name, share in shares.items() if name not in RECALLED]
    silence = sum(silent) / len(silent)
    return sum(recall) / len(recall) if silence >= least else silence - 1


def at_every_number(shares, least: float) -> float:
    """Mean recall, if enough is silent at each number of edits; else by how much it is not."""
    merits = [merit(some, least) for some in shares]
    return sum(merits) / len(merits) if min(merits) >= 0 else min(merits)


@pytest.mark.parametrize("least", [0.8, 1.0])
def test_calibration_takes_the_best_margins(
    backbone, views, texts, network, coarse, monkeypatch, least
) -> None:
    for name in ("SILENCE", "TEXT_SILENCE"):
        monkeypatch.setattr(calibration, name, least)
    found = calibrate(backbone, network, views, texts)
    router = network.router
    assert (found.margin, found.crowding) == (router.margin, router.crowding)
    assert (found.prompt_margin, found.text_margin) == (router.prompt_margin, router.text_margin)
    assert (found.picture_margin, found.subject_margin) == (
        router.picture_margin, router.subject_margin
    )  # fmt: skip
    assert list(found.fired) == [1, CASES], "there are fewer than ten"
    for cached, group, shares in (
        *((views, group, shares) for group, shares in found.fired.items()),
        (texts, len(texts), found.text_fired),
    ):
        assert tuple(shares) == cached.names
        one_by_one = shares_one_by_one(backbone, network, cached, group)
        assert list(shares.values()) == pytest.approx(one_by_one)

    def curve(cached: CachedViews, margin: torch.Tensor, values: torch.Tensor, group: int):
        found = fired(router, margin, compare(backbone, network, cached), values, group=group)
        return [dict(zip(cached.names, shares, strict=True)) for shares in found.tolist()]

    # the question's margins with all edits in force, at whichever margin of what is seen is best
    margins, best = calibration.MARGINS, {}
    router.crowding.zero_()
    for both in product(calibration.PROMPT_MARGINS.tolist(), calibration.PICTURE_MARGINS):
        router.prompt_margin.fill_(both[0])
        router.picture_margin.fill_(both[1])
        some = curve(views, router.margin, margins, CASES)
        best[both] = max(merit(shares, least) for shares in some)
    chosen = (found.prompt_margin, found.picture_margin)
    assert best[chosen] == pytest.approx(max(best.values()))
    assert min(best.values()) < max(best.values())
    # what is seen for few edits and for many
    router.prompt_margin.fill_(found.prompt_margin)
    router.picture_margin.fill_(found.picture_margin)
    lines = []
    for crowding in calibration.CROWDINGS.tolist():
        router.crowding.fill_(crowding)
        alone, crowded = (curve(views, router.margin, margins, size) for size in (1, CASES))
        lines += [at_every_number(both, least) for both in zip(alone, crowded, strict=True)]
    assert at_every_number(found.fired.values(), least) == pytest.approx(max(lines))
    assert min(lines) < max(lines)
    in_text = curve(texts, router.text_margin, calibration.PROMPT_MARGINS, len(texts))
    merits = [merit(shares, least) for shares in in_text]
    assert merit(found.text_fired, least) == pytest.approx(max(merits))
    assert min(merits) < max(merits)


NAMES = ("edit", "elsewhere")


def test_recall_counts_where_enough_stays_silent() -> None:
    shares = torch.tensor([[1.0, 0.3], [0.7, 0.1], [0.6, 0.0]])
    assert merit_of(shares, NAMES, 0.9).tolist() == pytest.approx([-0.3, 0.7, 0.6])
    assert merit_of(shares, NAMES, 1.0).tolist() == pytest.approx([-0.3, -0.1, 0.6])


def test_crowding_is_chosen_where_false_fire_comes_with_the_crowd(coarse) -> None:
    """Alone the lowest margin is best; among seven a margin of 2 more, another of 4 is too much."""
    margins = calibration.MARGINS
    alone, crowded = torch.zeros(len(margins), 2), torch.zeros(len(margins), 2)
    alone[0, 0] = crowded[1, 0] = 1
    margin, crowding = calibration._best_line({1: alone, CASES: crowded}, NAMES, SILENCE)
    assert margin == margins[0]
    assert crowding == pytest.approx(2 / math.log(CASES))
    even = torch.ones(len(margins), 2)
    assert calibration._best_line({1: even, CASES: even}, NAMES, SILENCE)[1] == 0, (
        "none without need"
    )


def test_without_text_only_corrections_their_margin_stays(backbone, views, network, coarse) -> None:
    network.router.text_margin.fill_(0.25)
    found = calibrate(backbone, network, views)
    assert found.text_margin is None
    assert found.text_fired == {}
    assert network.router.text_margin == 0.25


def test_a_router_that_does_not_ask_gets_no_prompt_margin(backbone, views, network, coarse) -> None:
    network.router.ask = False
    network.router.prompt_margin.fill_(1.0)
    assert calibrate(backbone, network, views).prompt_margin == 0
    assert network.router.prompt_margin == 0
