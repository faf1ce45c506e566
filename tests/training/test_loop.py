import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
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
        return {
            "distance": (weight - 3 + noise).square().mean(),
            "size": weight.abs().mean(),
            "of none": torch.tensor([]).mean(),
        }

    return losses, {"weight": weight, "unused": unused}


def logged(folder: Path) -> list[dict]:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    lines = (folder / "losses.jsonl").read_text().splitlines()
    return [json.loads(line, parse_constant=refuse) for line in lines]


def test_it_minimises_and_logs_every_term(tmp_path: Path) -> None:
    losses, trained = problem()
    train(losses, {"distance": 1.0}, trained, CONFIG, tmp_path)
    rows = logged(tmp_path)
    assert [row["step"] for row in rows] == list(range(12))
    assert rows[-1]["distance"] < rows[0]["distance"]
    assert rows[0]["size"] > 0
    assert rows[0]["of none"] is None


def test_tensorboard_shows_what_the_log_says(tmp_path: Path) -> None:
    losses, trained = problem()
    train(losses, {"distance": 1.0}, trained, CONFIG, tmp_path)
    rows = logged(tmp_path)
    curves = EventAccumulator(str(tmp_path)).Reload()
    shown = [(event.step, event.value) for event in curves.Scalars("distance")]
    assert [step for step, _ in shown] == list(range(12))
    assert [value for _, value in shown] == pytest.approx([row["distance"] for row in rows])


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


KILLED = """
import os, signal, sys
from pathlib import Path
import liveedit.training.loop as loop
from tests.training.test_loop import CONFIG, problem

fail_at, where, folder = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
losses, trained = problem()

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def dying(step):
    if step == fail_at and where == "step":
        die()
    if step == fail_at:  # the next checkpoint is written by half
        save = loop.save_file
        def half(tensors, path):
            save(tensors, path)
            path.write_bytes(path.read_bytes()[:-7])
            die()
        loop.save_file = half
    return losses(step)

loop.train(dying, {"distance": 1.0, "size": 0.1}, trained, CONFIG, folder)
"""


@pytest.mark.parametrize(("fail_at", "where"), [(9, "step"), (5, "checkpoint"), (1, "checkpoint")])
def test_a_killed_run_ends_with_the_weights_of_an_unbroken_one(
    tmp_path: Path, fail_at: int, where: str
) -> None:
    losses, unbroken = problem()
    train(losses, {"distance": 1.0, "size": 0.1}, unbroken, CONFIG, tmp_path / "unbroken")
    command = [sys.executable, "-c", KILLED, str(fail_at), where, str(tmp_path / "broken")]
    root = Path(__file__).parents[2]
    died = subprocess.run(command, cwd=root, capture_output=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    losses, trained = problem()
    train(losses, {"distance": 1.0, "size": 0.1}, trained, CONFIG, tmp_path / "broken")
    assert torch.equal(trained["weight"], unbroken["weight"])
    assert [row["step"] for row in logged(tmp_path / "broken")] == list(range(12))
