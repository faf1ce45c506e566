import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from liveedit.training.loop import LoopConfig, train

CONFIG = LoopConfig(steps=12, learning_rate=0.1, warmup=3, save_every=4)


def problem(fail_at: int | None = None):
    torch.manual_seed(7)
    weight = nn.Parameter(torch.randn(5))
    unused = nn.Parameter(torch.randn(2))

    def losses(step: int) -> dict[str, Tensor]:
        if step == fail_at:
            raise KeyboardInterrupt
        noise = torch.randn(5)
        return {"distance": (weight - 3 + noise).square().mean(), "size": weight.abs().mean()}

    return losses, {"weight": weight, "unused": unused}


def test_it_minimises_and_logs_every_term(tmp_path: Path) -> None:
    losses, trained = problem()
    train(losses, {"distance": 1.0}, trained, CONFIG, tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "losses.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(12))
    assert rows[-1]["distance"] < rows[0]["distance"]
    assert "size" in rows[0]


@pytest.mark.parametrize("fail_at", [2, 6, 11])
def test_an_interrupted_run_ends_with_the_weights_of_an_unbroken_one(
    tmp_path: Path, fail_at: int
) -> None:
    losses, unbroken = problem()
    train(losses, {"distance": 1.0, "size": 0.1}, unbroken, CONFIG, tmp_path / "unbroken")
    losses, trained = problem(fail_at)
    with pytest.raises(KeyboardInterrupt):
        train(losses, {"distance": 1.0, "size": 0.1}, trained, CONFIG, tmp_path / "broken")
    losses, trained = problem()
    train(losses, {"distance": 1.0, "size": 0.1}, trained, CONFIG, tmp_path / "broken")
    assert torch.equal(trained["weight"], unbroken["weight"])
