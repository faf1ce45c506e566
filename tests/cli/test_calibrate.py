"""``liveedit calibrate`` on a tiny model: an editor that other verbs take, or one sentence."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from liveedit import cli
from liveedit.methods.liveedit.checkpoint import CONFIG_FILE

SMALL = ("--corrections", "8", "--validation", "8", "--seed", "3")


@pytest.fixture
def run(tiny_folder: Path, tmp_path: Path, monkeypatch, capsys):
    """Runs the command on the tiny model; returns what it printed, or its error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIVEEDIT_STORE", "edits.db")

    def run(*arguments: str, status: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["liveedit", *arguments, "--model", str(tiny_folder)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        assert (ended.value.code or 0) == status, said.err
        return said.err if status else said.out

    return run


def a_file(folder: Path, pictures: int) -> str:
    rows = []
    for number in range(pictures):
        pixels = np.random.default_rng(number).integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((48, 48)).save(folder / f"{number}.png")
        rows.append({"image": f"{number}.png", "prompt": "What is this?", "target": "a dog"})
    file = folder / "mine.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    return str(file)


def test_an_editor_is_made_and_used(run, tmp_path, pictures):
    told = json.loads(run("calibrate", "--out", "out", *SMALL, "--json"))
    assert told["corrections"] == told["validation"] == 8
    assert set(told["fired"]) == {"1", "8"}
    config = json.loads((tmp_path / "out/editor" / CONFIG_FILE).read_text())
    assert config["editor"]["calibrated"] is True
    assert json.loads((tmp_path / "out/calibration.json").read_text())["settings"]["seed"] == 3
    pictures[0].save(tmp_path / "0.png")
    asked, given = "What is this?", ("--editor", "out/editor")
    run("edit", "add", "--image", "0.png", "--prompt", asked, "--target", "a red dog", *given)
    assert "a red dog" in run("ask", "0.png", asked, *given)


def test_an_editor_that_has_words_compared_by_calibrating_or_training(run, tmp_path):
    run("calibrate", "--out", "out", *SMALL, "--sentence-encoder")
    steps = ("--corrections", "20", "--router-steps", "1", "--generator-steps", "1")
    run("train", "--out", "trained", *steps, "--sentence-encoder")
    for folder in ("out", "trained"):
        config = json.loads((tmp_path / folder / "editor" / CONFIG_FILE).read_text())
        assert config["editor"]["sentence_encoder"] is True
    published = ("--recipe", "published", "--sentence-encoder")
    assert "does not go with" in run("train", "--out", "other", *published, status=2)


def test_a_file_of_ones_own_all_asked_the_same(run, tmp_path):
    told = run("calibrate", "--out", "out", "--data", a_file(tmp_path, 16), *SMALL)
    assert "8 + 8 corrections" in told
    assert "its question in other words" in told
    assert "editor in out/editor" in told


@pytest.mark.parametrize("pictures", [0, 3])
def test_too_few_pictures_write_nothing(run, tmp_path, pictures):
    file = a_file(tmp_path, pictures)
    before = set(tmp_path.iterdir())
    said = run("calibrate", "--out", "out", "--data", file, *SMALL, status=2)
    assert len(said.strip().splitlines()) == 1
    assert said.startswith("liveedit: ")
    assert set(tmp_path.iterdir()) == before


def test_a_layer_that_is_not_there_is_told(run, tmp_path):
    said = run("calibrate", "--out", "out", *SMALL, "--edit-layer", "99", status=2)
    assert "no decoder layer 99" in said
    assert not (tmp_path / "out").exists()


def test_doctor_proposes_it_and_what_a_trained_one_adds(run, tiny_folder, capsys, monkeypatch):
    run("calibrate", "--out", "out", *SMALL)
    assert "liveedit calibrate --model" in missing(tiny_folder, capsys, monkeypatch)
    said = missing(tiny_folder, capsys, monkeypatch, "--editor", "out/editor")
    assert "liveedit calibrate --model" not in said
    assert "takes no correction without a picture" in said


def missing(model: Path, capsys, monkeypatch, *more: str) -> str:
    """What doctor says is missing."""
    monkeypatch.setattr(sys, "argv", ["liveedit", "doctor", str(model), *more, "--json"])
    with pytest.raises(SystemExit):
        cli.main()
    return " ".join(json.loads(capsys.readouterr().out)["missing"])
