"""``--no-refine`` and ``--no-supersede`` of bench cost and bench general, as bench run has them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from liveedit import cli
from liveedit.backbones.registry import load_backbone
from liveedit.methods.liveedit.checkpoint import save_editor
from liveedit.methods.liveedit.config import EditorConfig
from liveedit.methods.liveedit.network import EditorNetwork

OFF = ["--no-refine", "--no-supersede"]


@pytest.fixture
def editor(tiny_folder, tmp_path) -> Path:
    backbone = load_backbone(tiny_folder)
    network = EditorNetwork(EditorConfig(width=32, heads=2, rank=4), backbone.width)
    save_editor(network, backbone.fingerprint(), tmp_path / "editor")
    return tmp_path / "editor"


def bench(monkeypatch, *arguments: object) -> int | None:
    monkeypatch.setattr(sys, "argv", ["liveedit", "bench", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


@pytest.mark.parametrize(
    ("command", "few"), [("cost", ["--split", "validation"]), ("general", ["--limit", "2"])]
)
@pytest.mark.parametrize("switches", [[], OFF])
def test_what_was_switched_off_is_in_the_file(
    command, few, switches, editor, tiny_folder, tmp_path, monkeypatch
) -> None:
    given = [*few, *switches, "--edits", 2, "--model", tiny_folder, "--editor", editor]
    assert not bench(monkeypatch, command, *given, "--out", tmp_path / "out")
    editing = json.loads((tmp_path / "out" / f"{command}.json").read_text())["editing"]
    wanted = (0, "never") if switches else (60, "same")
    assert (editing["refine_steps"], editing["supersede"]) == wanted


@pytest.mark.parametrize("command", ["cost", "general"])
def test_a_switch_that_a_method_does_not_have_is_refused(
    command, tiny_folder, tmp_path, monkeypatch, capsys
) -> None:
    given = ["--method", "grace", "--no-refine", "--model", tiny_folder, "--edits", 2]
    assert bench(monkeypatch, command, *given, "--out", tmp_path / "out") == 2
    assert "--no-refine: grace has no such switch" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()
