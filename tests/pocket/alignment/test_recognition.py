"""The codebook finds the variances it was made of, and recognises by them."""

import pytest
import torch

from liveedit.pocket.alignment.recognition import Analysis, analyse
from liveedit.pocket.slots import log_likelihood

THINGS, PICTURES, CHANNELS = 120, 12, 24
OF_THING, OF_HAND, OF_PLACE = 4.0, 0.5, 1.0
HELD_OUT = range(0, THINGS, 6)  # seen from the first hand alone


@pytest.fixture(scope="module")
def drawn() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features by the model the analysis assumes: thing + hand + place."""
    torch.manual_seed(0)
    thing = OF_THING**0.5 * torch.randn(1, THINGS, 1, CHANNELS)
    hand = OF_HAND**0.5 * torch.randn(2, THINGS, 1, CHANNELS)
    points = thing + hand + OF_PLACE**0.5 * torch.randn(2, THINGS, PICTURES, CHANNELS)
    hands = torch.arange(2)[:, None, None].expand(2, THINGS, PICTURES)
    things = torch.arange(THINGS)[None, :, None].expand(2, THINGS, PICTURES)
    return points, things, hands


@pytest.fixture(scope="module")
def found(drawn) -> Analysis:
    points, things, hands = drawn
    taught = ~((hands == 1) & torch.isin(things, torch.tensor(list(HELD_OUT))))
    return analyse(points[taught], things[taught], hands[taught], embedding=CHANNELS, ridge=0)


def projected(found: Analysis, points: torch.Tensor) -> torch.Tensor:
    return points @ found.weight.T + found.bias


def test_projection_makes_the_variance_within_things_one(drawn, found):
    seen = projected(found, drawn[0])
    within = (seen - seen.mean(2, keepdim=True)).square().mean()
    apart = (seen[0].mean(1) - seen[1].mean(1)).square().mean() / 2
    assert within + apart == pytest.approx(1, abs=0.1)


def test_a_known_hand_is_the_gaussian_of_its_pictures(drawn, found):
    seen = projected(found, drawn[0])
    torch.testing.assert_close(found.means[0], seen[0].mean(1), atol=1e-3, rtol=1e-3)
    within = (seen[0] - seen[0].mean(1, keepdim=True)).square().mean()
    assert found.variances[0].mean() == pytest.approx(within.item(), rel=0.1)


def test_an_unknown_hand_is_what_the_other_leads_to_expect(drawn, found):
    seen = projected(found, drawn[0])
    held_out = list(HELD_OUT)
    surprise = seen[1, held_out] - found.means[1, held_out][:, None]
    known = seen[1, 1] - found.means[1, 1]
    assert surprise.square().mean() > 1.3 * known.square().mean()
    expected = found.variances[1, held_out].mean()
    assert surprise.square().mean() == pytest.approx(expected.item(), rel=0.15)


def test_what_one_hand_drew_is_recognised_in_the_other(drawn, found):
    points, things, _ = drawn
    likely = log_likelihood(projected(found, points[1]), found.means, found.variances)
    right = likely.argmax(-1) == things[1]
    assert right[list(HELD_OUT)].float().mean() > 0.9
    assert right.float().mean() > 0.97
    alone = likely[list(HELD_OUT)].softmax(-1).amax(-1).mean()
    assert alone < likely[1].softmax(-1).amax(-1).mean(), "as sure as of a hand that is known"
