"""The log of trials outlives kills, and says where it is damaged."""

from __future__ import annotations

import pytest

from liveedit.benchmark.tuning.trial_log import Trial, append_trial, read_trials
from liveedit.errors import BadRun


def trial(number: int, **more) -> Trial:
    values = {
        "settings": {"rate": 0.1},
        "score": 40.0,
        "exact_match": {"rel": 40.0},
        "seconds": 1.5,
    }
    return Trial(trial=number, **(values | more))


def test_what_was_written_is_read(tmp_path) -> None:
    path = tmp_path / "trials.jsonl"
    assert read_trials(path) == []
    some = [trial(1), trial(2, score=0.0, exact_match={}, failed="ValueError: zu groß\nindeed")]
    for one in some:
        append_trial(path, one)
    assert read_trials(path) == some
    assert path.read_text(encoding="utf-8").count("\n") == 2


def test_half_a_line_is_no_trial_and_is_written_over(tmp_path) -> None:
    path = tmp_path / "trials.jsonl"
    append_trial(path, trial(1))
    append_trial(path, trial(2))
    whole = path.read_bytes()
    for cut in range(len(whole) // 2 + 1, len(whole)):
        path.write_bytes(whole[:cut])
        assert read_trials(path) == [trial(1)]
    append_trial(path, trial(2, score=50.0))
    assert read_trials(path) == [trial(1), trial(2, score=50.0)]


@pytest.mark.parametrize("line", ["nonsense", "{}", '{"trial": 2, "rate": 1}', "7"])
def test_a_damaged_line_is_named(tmp_path, line) -> None:
    path = tmp_path / "trials.jsonl"
    append_trial(path, trial(1))
    with path.open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(BadRun, match=r"line 2 of .* cannot be read"):
        read_trials(path)
