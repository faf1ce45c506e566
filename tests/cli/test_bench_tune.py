"""``liveedit bench tune``, and runs with what it chose."""

from __future__ import annotations

import json
import sys

import pytest

from liveedit import cli

ARGUMENTS = ("bench", "tune", "--method", "grace")


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run the command in this process; gives exit status, standard output and error."""
    monkeypatch.setenv("LIVEEDIT_CACHE", str(tmp_path / "cache"))

    def _run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["liveedit", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return _run


def test_what_is_chosen_is_what_a_run_takes(run, tiny_folder, tmp_path) -> None:
    model = ("--model", tiny_folder, "--limit", 2, "--edits", 2)
    out = tmp_path / "tune"
    status, printed, said = run(*ARGUMENTS, "--trials", 2, "--out", out, *model, "--json")
    assert status == 0, said
    tuned = json.loads(printed)
    assert [trial["trial"] for trial in tuned["log"]] == [1, 2]
    assert tuned["log"][0]["settings"] == {"radius": 0.5, "rate": 1.0}
    assert tuned["score"] == max(trial["score"] for trial in tuned["log"])
    assert json.loads((out / "tuning.json").read_text())["split"] == "validation"
    status, printed, said = run(*ARGUMENTS, "--trials", 2, "--out", out, *model)
    assert status == 0, said
    assert "Trial 1 is the defaults." in printed
    chosen = out / "chosen.json"
    changed = json.loads(chosen.read_text()) | {"settings": {"radius": 4.0, "rate": 0.1}}
    chosen.write_text(json.dumps(changed))
    told = ("bench", "run", "--method", "grace", "--settings", chosen, "--split", "validation")
    status, printed, said = run(*told, *model, "--out", tmp_path / "run", "--json")
    assert status == 0, said
    config = json.loads(printed)["config"]
    assert (config["radius"], config["rate"]) == (4.0, 0.1)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--split", "evaluation"], "never on those that methods are"),
        (["--dataset", "e-vqa", "--images", ".", "--annotations", "vqa_eval.json"], "divide"),
        (["--dataset", "corrections", "--annotations", "my-test.csv"], "other rows"),
        (["--dataset", "photo-edit"], "--images"),
        (["--trials", "0"], "--trials"),
    ],
)
def test_evaluation_is_refused_before_a_model_is_loaded(run, options, named, tmp_path) -> None:
    status, _, said = run(*ARGUMENTS, "--model", "nowhere", "--out", tmp_path / "out", *options)
    assert status == 2
    assert named in " ".join(said.replace("│", " ").split())
    assert not (tmp_path / "out").exists()


def test_settings_outside_the_space_change_nothing(run, tmp_path) -> None:
    chosen = tmp_path / "chosen.json"
    chosen.write_text('{"method": "grace", "settings": {"radius": 3.0}}')
    told = ("bench", "run", "--method", "grace", "--model", "nowhere", "--settings", chosen)
    status, _, said = run(*told, "--out", tmp_path / "out")
    assert status == 2
    assert "radius = 3.0 is outside the space of the method 'grace'" in said
    assert not (tmp_path / "out").exists()
