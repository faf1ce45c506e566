"""Rates of a training: they rise, fall to zero, and groups of parameters have their own."""

import pytest
import torch
from torch import nn

from liveedit.methods.shared.training.kept_steps import KeptSteps
from liveedit.methods.shared.training.training_steps import train_steps

STEPS, RATE = 40, 0.01


def moved(tmp_path, groups, parameters) -> list[float]:
    before = [one.item() for one in parameters]
    train_steps(
        groups,
        lambda generator: sum(parameters),
        steps=STEPS,
        rate=RATE,
        seed=0,
        name="sum",
        kept=KeptSteps(folder=tmp_path, about={}),
    )
    return [was - one.item() for was, one in zip(before, parameters, strict=True)]


def test_by_how_much_a_parameter_moves_under_a_constant_gradient(tmp_path) -> None:
    """Adam divides it by its size: each step is as long as the rate, 2 of which are warming up."""
    one = nn.Parameter(torch.zeros(()))
    rates = [RATE * min((step + 1) / 2, 1 - step / STEPS) for step in range(STEPS)]
    assert moved(tmp_path, [one], [one]) == [pytest.approx(sum(rates), rel=1e-3)]
    assert rates[-1] < RATE / 20


def test_a_group_of_parameters_has_a_rate_of_its_own(tmp_path) -> None:
    slow, fast = nn.Parameter(torch.zeros(())), nn.Parameter(torch.zeros(()))
    groups = [{"params": [slow]}, {"params": [fast], "lr": 10 * RATE}]
    some, more = moved(tmp_path, groups, [slow, fast])
    assert more == pytest.approx(10 * some, rel=1e-3)
