"""Every command of docs/reproduce.md, with tiny models in the place of the backbones."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from liveedit import cli
from liveedit.saving.fingerprint import weights_revision
from liveedit.training.recipes import read_recipe
from tests.backbones.families import tiny

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/reproduce.md").read_text(), re.DOTALL)
FAMILIES = {
    "Salesforce/blip2-opt-2.7b": "blip-2",
    "llava-hf/llava-1.5-7b-hf": "llava",
    "minigpt4-vicuna-7b": "minigpt4",
}
SMALLER = {
    "train": ["--edit-layer", "3", "--corrections", "20", "--steps", "1"],
    "bench": ["--edits", "1", "--split", "validation", "--limit", "1"],
    "doctor": [],
}


def test_every_backbone_has_its_block():
    said = [next(name for name in FAMILIES if name in block) for block in BLOCKS]
    assert said == list(FAMILIES)
    assert all(block.count("liveedit ") == len(block.splitlines()) == 3 for block in BLOCKS)


@pytest.mark.parametrize("block", BLOCKS, ids=list(FAMILIES.values()))
def test_the_commands_of_a_backbone(block, tmp_path, monkeypatch, capsys):
    (name,) = (name for name in FAMILIES if name in block)
    folder, backbone = tmp_path / "model", tiny(FAMILIES[name])
    backbone.model.save_pretrained(folder)
    backbone.processor.save_pretrained(folder)
    monkeypatch.setenv("LIVEEDIT_CACHE", str(tmp_path / "cache"))
    for line in block.splitlines():
        _, verb, *rest = shlex.split(line)
        rest = [
            str(folder) if one == name else one.replace("runs/", f"{tmp_path}/") for one in rest
        ]
        if "--config" in rest:
            at = rest.index("--config") + 1
            assert read_recipe(ROOT / rest[at]).backbone == name
            rest[at] = str(ROOT / rest[at])
            rest += ["--model", str(folder)]
        monkeypatch.setattr(sys, "argv", ["liveedit", verb, *rest, *SMALLER[verb]])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert not ended.value.code, capsys.readouterr().err
    (out,) = (path.parent for path in tmp_path.glob("*/bench"))
    made_for = json.loads((out / "editor/config.json").read_text())["backbone"]
    assert made_for["family"] == FAMILIES[name]
    assert made_for["edit_layer"] == 3
    assert made_for["weights"] == weights_revision(folder)
    summary = json.loads((out / "bench/summary.json").read_text())
    assert summary["runs"]["1"]["metrics"]["rel"]["n"] == 1
