"""Validation while training: the curve, the best weights, and going on after a kill."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from liveedit.training.curve import BEST, VALIDATION, Curve, read_curve
from liveedit.training.loop import LoopConfig, train
from liveedit.training.page import PAGE, write_page

CONFIG = LoopConfig(steps=12, learning_rate=0.5, warmup=1, save_every=4, validate_every=3)


def problem(fail_at: int | None = None):
    """A weight that first nears 1, which validation likes best, and then runs past it."""
    weight = nn.Parameter(torch.zeros(1))

    def losses(step: int) -> dict[str, torch.Tensor]:
        if step == fail_at:
            raise KeyboardInterrupt
        return {"distance": (weight - 5).square().mean() + 0 * torch.rand(1).mean()}

    def validate() -> dict[str, float]:
        return {"merit": -abs(float(weight.detach()) - 2.0), "not known": float("nan")}

    return losses, {"weight": weight}, validate


def run(folder: Path, fail_at: int | None = None, *, choose_best: bool = True) -> float:
    losses, trained, validate = problem(fail_at)
    train(
        losses, {"distance": 1.0}, trained, CONFIG, folder / "router",
        validate=validate, choose_best=choose_best,
    )  # fmt: skip
    return float(trained["weight"].detach())


def test_it_ends_with_the_weights_that_were_best_on_validation(tmp_path: Path) -> None:
    best, last = run(tmp_path / "best"), run(tmp_path / "last", choose_best=False)
    rows = read_curve(tmp_path / "best" / "router" / VALIDATION)
    assert [row["step"] for row in rows] == [3, 6, 9, 12]
    assert all(row["not known"] is None for row in rows)
    merits = [row["merit"] for row in rows]
    assert -abs(best - 2.0) == pytest.approx(max(merits))
    assert -abs(last - 2.0) == pytest.approx(merits[-1])
    assert max(merits) > merits[-1]


@pytest.mark.parametrize("fail_at", [2, 5, 8, 11])
def test_an_interrupted_run_has_the_same_curve_and_the_same_best(
    tmp_path: Path, fail_at: int
) -> None:
    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", fail_at)
    assert run(tmp_path / "broken") == whole
    logs = [(tmp_path / name / "router" / VALIDATION).read_text() for name in ("whole", "broken")]
    assert logs[0] == logs[1]


def test_a_finished_run_is_not_validated_again(tmp_path: Path) -> None:
    best = run(tmp_path)
    before = (tmp_path / "router" / VALIDATION).stat().st_mtime_ns
    assert run(tmp_path) == best
    assert (tmp_path / "router" / VALIDATION).stat().st_mtime_ns == before


def test_tensorboard_has_the_curve(tmp_path: Path) -> None:
    run(tmp_path)
    shown = EventAccumulator(str(tmp_path / "router")).Reload().Scalars("validation/merit")
    rows = read_curve(tmp_path / "router" / VALIDATION)
    assert [event.value for event in shown] == pytest.approx([row["merit"] for row in rows])


def test_weights_are_kept_only_where_they_are_better(tmp_path: Path) -> None:
    weight = nn.Parameter(torch.ones(1))
    curve = Curve(tmp_path, {"weight": weight}, 0)
    curve.load_best()  # there are none, and nothing happens
    for step, (value, merit) in enumerate(((1.0, 0.5), (2.0, 0.7), (3.0, 0.7), (4.0, 0.1)), 1):
        weight.data.fill_(value)
        curve.add(step, {"merit": merit})
    curve.load_best()
    assert weight.item() == 2.0
    assert not list(tmp_path.glob("*.part"))


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.plots = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.plots += tag == "svg"
        assert tag not in ("script", "img")


def test_the_page_draws_the_logs(tmp_path: Path) -> None:
    run(tmp_path)
    text = (tmp_path / PAGE).read_text(encoding="utf-8")
    assert _Page(text).plots == 2, "merit and distance; what is never known has no plot"
    assert "12 steps; best on validation after" in text
    assert write_page(tmp_path) == tmp_path / PAGE


def test_a_page_of_nothing(tmp_path: Path) -> None:
    write_page(tmp_path)
    assert _Page((tmp_path / PAGE).read_text(encoding="utf-8")).plots == 0


def test_best_weights_are_whole_files(tmp_path: Path) -> None:
    run(tmp_path)
    assert (tmp_path / "router" / BEST).exists()
    assert json.loads((tmp_path / "router" / VALIDATION).read_text().splitlines()[0])["step"] == 3
