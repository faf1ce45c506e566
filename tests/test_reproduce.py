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
from tests.data.annotations.samples import e_ic_row, e_vqa_row, vlkeb_row, write
from tests.photographs import photo_folder

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/reproduce.md").read_text(), re.DOTALL)
FAMILIES = {
    "Salesforce/blip2-opt-2.7b": "blip-2",
    "llava-hf/llava-1.5-7b-hf": "llava",
    "minigpt4-vicuna-7b": "minigpt4",
}
DRAWN = [block for block in BLOCKS if "doctor" in block]
EXPERIMENTS = [line for block in BLOCKS if block not in DRAWN for line in block.splitlines()]
SMALLER = {
    "train": ["--edit-layer", "3", "--corrections", "20", "--steps", "1"],
    "bench": ["--edits", "1", "--split", "validation", "--limit", "1"],
    "doctor": [],
}


def test_every_backbone_has_its_block():
    said = [next(name for name in FAMILIES if name in block) for block in DRAWN]
    assert said == list(FAMILIES)
    assert all(block.count("liveedit ") == len(block.splitlines()) == 3 for block in DRAWN)


def test_every_backbone_has_every_dataset():
    trained = [Path(re.findall(r"--config (\S+)", line)[0]) for line in EXPERIMENTS[::2]]
    folders = [path.parent.name for path in (ROOT / "configs").glob("*/liveedit-paper.yaml")]
    wanted = {(name, dataset) for name in folders for dataset in ("e-vqa", "e-ic", "vlkeb")}
    assert len(folders) == 4
    assert {(path.parent.name, path.stem) for path in trained} == wanted
    for path in trained:
        recipe = read_recipe(ROOT / path)
        paper = read_recipe(ROOT / path.with_name("liveedit-paper.yaml"))
        assert recipe.data
        assert recipe.images
        loop = {"loop": paper.training.loop}
        assert recipe.training.model_copy(update=loop) == paper.training
        assert (recipe.backbone, recipe.edit_layer) == (paper.backbone, paper.edit_layer)


SAMPLES = {"e-vqa": e_vqa_row, "e-ic": e_ic_row, "vlkeb": vlkeb_row}


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(
            EXPERIMENTS[at : at + 2],
            id=re.findall(r"configs/(\S+)\.yaml", EXPERIMENTS[at])[0].replace("/", "-"),
            marks=() if "pocket/e-vqa" in EXPERIMENTS[at] else pytest.mark.thorough,
        )
        for at in range(0, len(EXPERIMENTS), 2)
    ],
)
def test_the_commands_of_an_experiment(lines, tmp_path, tiny_folder, monkeypatch, capsys) -> None:
    """On hand-written rows where the annotations should be, with photographs standing in."""
    (dataset,) = re.findall(r"--dataset (\S+)", lines[1])
    paths = read_recipe(ROOT / re.findall(r"--config (\S+)", lines[0])[0]).data
    rows = [
        SAMPLES[dataset](number) | {"m_loc_q": f"What is at place {number}?"}
        for number in range(30)
    ]
    for name in (*paths, *re.findall(r"--annotations (\S+)", lines[1])):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write(tmp_path / name, rows)
    photographs = photo_folder(tmp_path / "photos", each=6)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIVEEDIT_CACHE", str(tmp_path / "cache"))
    for line in lines:
        _, verb, *rest = shlex.split(line)
        rest = [str(ROOT / one) if one.startswith("configs/") else one for one in rest]
        rest += ["--stand-ins", str(photographs), "--model", str(tiny_folder)]
        rest += (
            ["--edit-layer", "3", "--steps", "1"]
            if verb == "train"
            else ["--edits", "2", "--limit", "3"]
        )
        monkeypatch.setattr(sys, "argv", ["liveedit", verb, *rest])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert not ended.value.code, capsys.readouterr().err
    (summary,) = tmp_path.glob("runs/*/bench/summary.json")
    told = json.loads(summary.read_text())
    assert told["runs"]["2"]["metrics"]["rel"]["n"] == 3
    assert told["stand_ins"]["pictures"] == 6


@pytest.mark.parametrize("block", DRAWN, ids=list(FAMILIES.values()))
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
