"""Tuning real methods on a tiny model: the log, going on after a kill, trials that fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from liveedit.benchmark.metrics import OBJECTIVE
from liveedit.benchmark.suite import Suite, emoji_suite
from liveedit.benchmark.tuning import tune as tuning
from liveedit.benchmark.tuning.trial_log import read_trials
from liveedit.benchmark.tuning.tune import tune
from liveedit.errors import BadSettings, MethodCannot, OtherRun
from liveedit.methods.chosen_settings import read_chosen, settings_of
from liveedit.methods.grace.method import Grace

NEAR = {"radius": 0.5, "rate": 1.0}  # the defaults
QUICK = {"steps": 2}


@pytest.fixture
def suite() -> Suite:
    whole = emoji_suite("validation", 2)
    return Suite(name=whole.name, pictured=whole.pictured, texts=whole.texts[:1])


@pytest.fixture
def search(backbone, suite, tmp_path):
    """Tunes GRACE into a folder; gives what was chosen."""

    def made(settings: dict[str, Any]) -> Grace:
        return Grace.load(backbone, None, settings_of(Grace, settings | QUICK))

    def run(trials: int, folder: str = "out", remake=None, **more: Any):
        method = Grace.load(backbone)
        return tune(
            method,
            remake or made,
            tmp_path / folder, suite, trials=trials, edits=2, cache=tmp_path / "cache",
            max_new_tokens=3, about={"split": "validation"}, **more,
        )  # fmt: skip

    return run


def test_a_tuning_is_logged_and_its_best_is_chosen(search, tmp_path) -> None:
    tuned = search(3)
    out = tmp_path / "out"
    log = read_trials(out / "trials.jsonl")
    assert [one.trial for one in log] == [1, 2, 3]
    assert log[0].settings == NEAR
    for one in log:
        assert one.failed is None
        summary = json.loads((out / "trials" / f"{one.trial:03}" / "summary.json").read_text())
        metrics = summary["runs"]["2"]["metrics"]
        exact = [metrics[name]["exact_match"] for name in OBJECTIVE]
        assert one.score == pytest.approx(sum(exact) / 6, abs=1e-3)
        assert summary["config"] == Grace.config_class(**one.settings, **QUICK).model_dump()
    best = max(log, key=lambda one: one.score)
    assert (tuned.trial, tuned.score) == (best.trial, best.score)
    assert tuned.default_score == log[0].score
    assert (tuned.trials, tuned.of, tuned.failed) == (3, 20, [])
    chosen = read_chosen(out / "chosen.json", Grace)
    assert chosen == Grace.config_class(**best.settings)


def test_what_ended_is_never_run_again(search, tmp_path, monkeypatch) -> None:
    unbroken = search(4, "unbroken")
    real, runs = tuning.run_benchmark, []

    def counted(model, folder: Path, *arguments, **options):
        runs.append(folder.name)
        if len(runs) == 3:
            raise KeyboardInterrupt
        return real(model, folder, *arguments, **options)

    monkeypatch.setattr(tuning, "run_benchmark", counted)
    with pytest.raises(KeyboardInterrupt):
        search(4)
    assert not (tmp_path / "out" / "chosen.json").exists()
    with (tmp_path / "out" / "trials.jsonl").open("a") as file:
        file.write('{"trial": 3, "sett')  # what a kill may leave
    assert search(4) == unbroken
    assert runs == ["001", "002", "003", "003", "004"]
    logs = [read_trials(tmp_path / name / "trials.jsonl") for name in ("out", "unbroken")]
    assert [(one.settings, one.score) for one in logs[0]] == [
        (one.settings, one.score) for one in logs[1]
    ]
    more = search(5)  # a larger budget goes on
    assert more.trials == 5
    assert runs[5:] == ["005"]


def test_a_trial_that_fails_is_told_and_is_the_worst(search, backbone, tmp_path) -> None:
    made = []

    def remake(settings):
        made.append(settings)
        if len(made) == 1:
            raise MethodCannot("grace", "do it", instead="do another")
        return Grace.load(backbone, None, settings_of(Grace, settings | QUICK))

    tuned = search(2, remake=remake)
    first, second = read_trials(tmp_path / "out" / "trials.jsonl")
    assert first.failed == "MethodCannot: the method 'grace' cannot do it; do another"
    assert (first.score, first.exact_match) == (0.0, {})
    assert (tuned.trial, tuned.failed, tuned.settings) == (2, [1], second.settings)

    def never(settings):
        raise RuntimeError("out of memory")

    with pytest.raises(BadSettings, match=r"none of the 2 trials of grace .* out of memory"):
        search(2, "never", remake=never)
    assert not (tmp_path / "never" / "chosen.json").exists()


def test_a_full_disk_is_no_fault_of_the_method(search, tmp_path) -> None:
    def remake(settings):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match=r"No space left"):
        search(2, remake=remake)
    assert read_trials(tmp_path / "out" / "trials.jsonl") == []


def test_another_tuning_needs_another_folder(search, tmp_path) -> None:
    search(1)
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()}
    with pytest.raises(OtherRun, match=r"other settings \(seed\).*tuning.json"):
        search(1, seed=1)
    assert {path: path.read_bytes() for path in before} == before


def test_another_run_in_the_folder_of_a_trial_is_no_fault_of_the_method(search, tmp_path) -> None:
    search(1)
    log, other = tmp_path / "out" / "trials.jsonl", tmp_path / "out" / "trials" / "002" / "run.json"
    before = log.read_bytes()
    other.parent.mkdir()
    other.write_text("{}\n")
    with pytest.raises(OtherRun, match=r"trials/002 holds a run with other settings"):
        search(2)
    assert log.read_bytes() == before
    other.unlink()
    assert search(2).failed == []
