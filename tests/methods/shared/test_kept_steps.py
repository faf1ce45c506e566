"""A training that was stopped goes on from its state, and from no other's."""

from contextlib import suppress

import pytest
import torch
from torch import Tensor, nn

from liveedit.methods.shared.training import training_steps
from liveedit.methods.shared.training.example_features import example_features
from liveedit.methods.shared.training.kept_steps import KeptSteps, kept_beside
from liveedit.methods.shared.training.said import said_by_model, said_once
from liveedit.methods.shared.training.training_steps import train_steps
from tests.methods.samples import examples


class Stopped(Exception):
    pass


@pytest.fixture(autouse=True)
def often(monkeypatch) -> None:
    monkeypatch.setattr(training_steps, "EVERY", 3)


def trained(kept: KeptSteps, *, steps: int = 10, stop_at: int | None = None) -> tuple[Tensor, int]:
    """A vector that is drawn to random targets; and how often its loss was asked for."""
    parameter = nn.Parameter(torch.zeros(5))
    asked = 0

    def loss(generator: torch.Generator) -> Tensor:
        nonlocal asked
        asked += 1
        if asked == stop_at:
            raise Stopped
        noise = torch.randn(5, generator=generator) + torch.nn.functional.dropout(torch.ones(5))
        return (parameter - noise).square().sum()

    with suppress(Stopped):
        train_steps([parameter], loss, steps=steps, rate=0.1, seed=7, name="vector", kept=kept)
    return parameter.detach().clone(), asked


def test_it_goes_on_with_the_same_result(tmp_path) -> None:
    before = torch.get_rng_state()
    whole, asked = trained(KeptSteps(folder=tmp_path / "whole", about={"rate": 1}))
    assert asked == 10
    assert torch.equal(torch.get_rng_state(), before)
    torch.randn(3)
    stopped = KeptSteps(folder=tmp_path / "stopped", about={"rate": 1})
    trained(stopped, stop_at=9)
    rest, asked = trained(stopped)
    assert asked == 4, "the six steps before are not made again"
    assert torch.equal(rest, whole)
    again, asked = trained(stopped)
    assert asked == 0
    assert torch.equal(again, whole)


@pytest.mark.parametrize("damage", ["other", "half", "nothing of ours"])
def test_what_is_not_its_own_is_not_taken_up(tmp_path, damage) -> None:
    kept = KeptSteps(folder=tmp_path, about={"rate": 1})
    whole, _ = trained(kept)
    path = tmp_path / "vector.safetensors"
    if damage == "other":
        kept = KeptSteps(folder=tmp_path, about={"rate": 2})
    elif damage == "half":
        path.write_bytes(path.read_bytes()[:-7])
    else:
        path.write_bytes(b"steps: 5")
    anew, asked = trained(kept)
    assert asked == 10
    assert torch.equal(anew, whole)


def test_what_the_steps_start_from_is_computed_once(backbone, pictures, tmp_path, monkeypatch):
    some = examples(pictures)
    asked = [one for example in some for one in example.unconcerned]
    kept = KeptSteps(folder=tmp_path, about={"rate": 1})
    seen, said = (
        example_features(backbone, some, kept),
        said_once(backbone, asked, tokens=3, kept=kept),
    )
    assert said == said_by_model(backbone, asked, tokens=3)
    with monkeypatch.context() as patch:
        patch.setattr(backbone.model, "forward", None)
        again = example_features(backbone, some, kept)
        assert vars(again).keys() == vars(seen).keys()
        assert all(torch.equal(value, vars(seen)[name]) for name, value in vars(again).items())
        assert said_once(backbone, asked, tokens=3, kept=kept) == said
    fewer = KeptSteps(folder=tmp_path, about={"rate": 2})
    assert len(example_features(backbone, some[:1], fewer).role) < len(seen.role)


def test_another_training_is_one_with_other_corrections_settings_or_model(
    backbone, pictures, tmp_path
) -> None:
    some = examples(pictures)
    one = kept_beside(tmp_path / "editor", backbone, some, method="serac", seed=0)
    assert one.folder == tmp_path / "training"
    assert one == kept_beside(tmp_path / "editor", backbone, some, method="serac", seed=0)
    turned = [one.correction.image.rotate(90) for one in some if one.correction.image]
    other_pictures = examples(turned)
    others = (
        kept_beside(tmp_path / "editor", backbone, some[:-1], method="serac", seed=0),
        kept_beside(tmp_path / "editor", backbone, some, method="serac", seed=1),
        kept_beside(tmp_path / "editor", backbone, some, method="lte", seed=0),
        kept_beside(tmp_path / "editor", backbone, other_pictures, method="serac", seed=0),
    )
    assert all(one.about != other.about for other in others)
