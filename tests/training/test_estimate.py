"""What a training takes is said before it starts: disk to the byte where that can be."""

import shutil
import sys
from collections import namedtuple
from pathlib import Path

import pytest
import torch

from liveedit import cli
from liveedit.data.cached_states import cache_views
from liveedit.data.emoji_edit.corrections import validation_set
from liveedit.data.emoji_edit.knowledge import text_validation_set
from liveedit.data.views import TAUGHT, TEXT_TAUGHT
from liveedit.errors import CacheTooSmall, DiskTooSmall
from liveedit.training.editor import EditorTraining
from liveedit.training.estimate import Kept, Steps, estimate
from liveedit.training.presets import OURS, PUBLISHED, scaled, scaled_published

Usage = namedtuple("Usage", "total used free")


def steps(sample) -> list[Steps]:
    weight = torch.ones(1, requires_grad=True)
    return [Steps(name="router", count=10, times=2.0, step=lambda: weight.sum())]


@pytest.fixture
def kept() -> list[Kept]:
    return [
        Kept(cases=validation_set(20), names=TAUGHT),
        Kept(cases=text_validation_set()[:10], names=TEXT_TAUGHT),
    ]


def test_the_disk_is_what_the_states_take(backbone, kept, tmp_path: Path) -> None:
    found = estimate(backbone, kept, tmp_path, limit=10**9, steps=steps)
    assert found.there == 0
    assert found.seconds.keys() == {"states", "router"}
    assert found.seconds["states"] > 0
    cached = [cache_views(backbone, one.cases, tmp_path, names=one.names) for one in kept]
    tokens = sum(len(views.all_states) for views in cached)
    assert found.tokens == tokens
    size = sum(file.stat().st_size for file in tmp_path.glob("*.safetensors"))
    assert found.size == pytest.approx(size, rel=0.01)
    again = estimate(backbone, kept, tmp_path, limit=10**9, steps=steps)
    assert again.tokens == tokens
    assert again.there == pytest.approx(size, rel=0.01)
    assert again.seconds["states"] == 0


def test_more_than_the_disk_holds_is_refused(backbone, kept, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10, 10, 1000))
    with pytest.raises(DiskTooSmall, match="nothing was begun") as caught:
        estimate(backbone, kept, tmp_path / "not" / "there", limit=10**9, steps=steps)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "not").exists()


def test_more_than_the_cache_may_hold_is_refused(backbone, kept, tmp_path: Path) -> None:
    with pytest.raises(CacheTooSmall, match="--states-limit"):
        estimate(backbone, kept, tmp_path, limit=1000, steps=steps)


def test_presets_and_sizes_that_follow() -> None:
    usual = EditorTraining()
    assert OURS["small"].corrections < usual.corrections < OURS["paper"].corrections
    assert OURS["paper"].editor.width == PUBLISHED["paper"].editor.width == 1024
    few = scaled(usual, 40)
    assert (few.corrections, few.text_corrections, few.validation) == (40, 46, 20)
    assert scaled(usual, usual.corrections) == usual
    assert scaled_published(PUBLISHED["small"], 40).validation == 20


def _run(arguments: list[str], monkeypatch, capsys) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["liveedit", "train", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


@pytest.mark.parametrize("recipe", ["ours", "published"])
def test_the_command_only_estimates(
    recipe: str, tiny_folder, tmp_path: Path, monkeypatch, capsys
) -> None:
    out = tmp_path / "out"
    status, said, error = _run(
        ["--model", str(tiny_folder), "--edit-layer", "1", "--recipe", recipe, "--preset", "small",
         "--corrections", "20", "--estimate", "--out", str(out)],
        monkeypatch, capsys,
    )  # fmt: skip
    assert status == 0, error
    assert "corrections" in said
    assert "there already" in said
    assert ("router" in said) == (recipe == "ours")
    assert not out.exists()


def test_a_preset_is_no_config(monkeypatch, capsys, tmp_path: Path) -> None:
    config = tmp_path / "x.yaml"
    config.write_text("backbone: x\nedit_layer: 1\n")
    arguments = ["--recipe", "published", "--config", str(config), "--preset", "small"]
    status, _, error = _run([*arguments, "--out", str(tmp_path)], monkeypatch, capsys)
    assert status == 2
    assert "--preset" in error
