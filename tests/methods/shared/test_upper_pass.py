"""A pass from below a network up, from which rows that have ended are left out."""

import pytest
import torch

from liveedit.correction import Correction
from liveedit.methods.grace.config import GraceConfig
from liveedit.methods.grace.values import fit_values
from liveedit.methods.shared.feed_forward.network import FeedForward, UpperPass
from liveedit.methods.tp.config import TpConfig
from liveedit.methods.tp.fitting import fit_neurons
from liveedit.methods.tp.memory import memory_of
from tests.backbones.families import tiny
from tests.methods.samples import ASKED, FACT, OTHER

TARGETS = ("w", "it is z", "I", "wo")


def asked(family: str, pictures, layer: int, rows: slice = slice(None)):
    """A network, some of four corrections of different lengths, and their pass."""
    backbone = tiny(family)
    network = FeedForward(backbone, layer, method="grace")
    corrections = [
        Correction(image=image, prompt=prompt, target=target)
        for image, prompt, target in zip(
            (pictures[0], pictures[1], None, pictures[2]),
            (ASKED, OTHER, FACT, ASKED),
            TARGETS,
            strict=True,
        )
    ][rows]
    query = backbone.query(
        [one.image for one in corrections],
        [one.prompt for one in corrections],
        [one.target for one in corrections],
    )
    return network, corrections, UpperPass(network, query)


def doubled(_entered, left):
    return 2 * left


@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl", "blip-2"])
@torch.no_grad()
def test_rows_that_are_left_give_what_they_gave(family, pictures) -> None:
    _, _, whole = asked(family, pictures, 3)
    some = whole.still(torch.tensor([False, True, False, True]))
    assert some.at.tolist() == [1, 3]
    logits, fewer = whole.logits(doubled), some.logits(doubled)
    own = torch.isin(whole.rows, some.at)
    torch.testing.assert_close(fewer, logits[own], atol=1e-4, rtol=1e-4)
    assert torch.equal(some.words, whole.words[own])
    torch.testing.assert_close(
        some.margins(fewer), whole.margins(logits)[some.at], atol=1e-4, rtol=1e-4
    )
    last = some.still(torch.tensor([True, False, False, True]))
    assert last.at.tolist() == [3]
    torch.testing.assert_close(last.logits(doubled), fewer[some.rows == 1], atol=1e-4, rtol=1e-4)


def test_a_few_that_have_ended_are_run_on(pictures) -> None:
    _, _, whole = asked("llava", pictures, 3)
    assert whole.still(torch.ones(4, dtype=torch.bool)) is whole
    assert len(whole.still(torch.tensor([True, True, True, False])).at) == 3


def test_pictures_that_enter_the_lowest_layers_keep_all_rows(pictures) -> None:
    _, _, whole = asked("qwen3_vl", pictures, 0)
    assert whole.still(torch.tensor([True, False, False, False])) is whole


@pytest.mark.parametrize("method", ["tp", "grace"])
def test_rows_that_end_at_different_steps_are_fitted_as_alone(method, pictures) -> None:
    def fitted(rows: slice):
        network, corrections, batch = asked("llava", pictures, 4, rows)
        if method == "grace":
            # on random weights one vector does not give two tokens: steps end before it does
            config = GraceConfig(rate=0.1, steps=60).model_copy(update={"margin": -2.7})
            return fit_values(batch, config)
        config = TpConfig(rate=0.1, memory=10.0, silence=0.5, steps=60)
        return fit_neurons(batch, memory_of(network, corrections), config)

    together = fitted(slice(None))
    assert len(set(together.steps.tolist())) > 2
    for row in range(4):
        alone = fitted(slice(row, row + 1))
        assert alone.reached.item() == together.reached[row].item()
        assert abs(int(alone.steps) - int(together.steps[row])) <= 1
