"""Trials on a tiny model: what is put in force, what is asked, and what is kept of it."""

import json
import sys

import pytest

from liveedit import cli
from liveedit.benchmark.metrics import same_answer
from liveedit.benchmark.scope import facts, pictures, wordings
from liveedit.benchmark.scope.suites import TRIALS, run_scope
from liveedit.benchmark.scope.trial import Numbered, Question, Trial, run_trial
from liveedit.correction import Correction
from liveedit.correction.same_picture import same_picture
from liveedit.data.emoji_edit.scene import render
from liveedit.errors import OtherRun
from liveedit.methods.liveedit.config import LiveEditConfig


@pytest.fixture
def small(monkeypatch) -> None:
    """A few of everything."""
    monkeypatch.setattr(pictures, "_SAVED", 2)
    monkeypatch.setattr(pictures, "_GROUPS", 3)
    monkeypatch.setattr(pictures, "_CONTRADICTED", 3)
    monkeypatch.setattr(wordings, "_AFTER_TEXT", 2)
    monkeypatch.setattr(facts, "_PICTURES", 1)


@pytest.mark.parametrize("name", TRIALS)
@pytest.mark.usefixtures("small")
def test_what_is_asked_is_about_what_is_corrected(name) -> None:
    trial = TRIALS[name]("validation")
    corrections = [one for some in trial.corrections for _, one in some]
    targets = {one.target for one in corrections}
    assert corrections
    assert trial.questions
    assert all(one.target is None or one.target in targets for one in trial.questions)
    assert TRIALS[name]("validation").questions[0].prompt == trial.questions[0].prompt
    assert not {one.prompt for one in trial.questions} & {""}
    (first, *_) = trial.corrections
    about = {number for number, _ in first}
    asked = {one.about for one in trial.questions if one.target is not None}
    assert asked <= about
    assert all({number for number, _ in later} == about for later in trial.corrections)


@pytest.mark.parametrize("name", TRIALS)
@pytest.mark.usefixtures("small")
def test_a_limited_trial_is_part_of_the_whole(name) -> None:
    whole, few = TRIALS[name]("validation"), TRIALS[name]("validation").limited(9)
    about = {number for number, _ in few.corrections[0]}
    assert 0 < len(few.corrections[0]) <= 9
    for some, of in zip(few.corrections, whole.corrections, strict=True):
        assert [told(one) for one in some] == [told(one) for one in of if one[0] in about]
    kept = [one for one in whole.questions if one.about in about or one.about < 0]
    assert [one.prompt for one in few.questions] == [one.prompt for one in kept]
    assert few.superseded == len(few.corrections[-1]) * (len(few.corrections) - 1)
    assert {number for number, _ in TRIALS[name]("validation").limited(1).corrections[0]} <= about


def told(one: Numbered) -> tuple[int, str, str]:
    return one[0], one[1].prompt, one[1].target


@pytest.mark.usefixtures("small")
def test_look_alikes_are_no_single_picture_and_have_answers_of_their_own() -> None:
    trial = pictures.look_alikes("validation")
    corrections = [one for _, one in trial.corrections[0]]
    assert len(corrections) == 12
    for start in range(0, 12, 4):
        group = corrections[start : start + 4]
        assert len({one.target for one in group}) == 4
        assert len({one.prompt for one in group}) == 1
        for at, one in enumerate(group):
            assert not any(same_picture(one.image, other.image) for other in group[:at])


@pytest.mark.usefixtures("small")
def test_contradictions_are_of_the_same_picture_with_another_target() -> None:
    before, after = pictures.contradictions("validation").corrections
    for (_, first), (_, later) in zip(before, after, strict=True):
        assert first.target != later.target
        assert first.prompt != later.prompt


def test_a_trial_says_what_is_right(make_model, pictured) -> None:
    model = make_model(config=LiveEditConfig(refine_steps=20))
    one, other = (render(case.scene) for case in pictured[:2])
    trial = Trial(
        corrections=[[(0, Correction(image=one, prompt="Whose is it?", target="Ann"))]],
        questions=[
            Question(label="own", about=0, picture=one, prompt="Whose is it?", target="Ann"),
            Question(label="kept", about=0, picture=other, prompt="What is it?", target=None),
            Question(label="wrong", about=0, picture=one, prompt="Whose is it?", target="Bob"),
        ],
    )
    outcome = run_trial(model, trial, title="trial")
    assert len(model.edits) == 0
    found = outcome.as_json()
    assert (found["corrections"], found["in_force"], found["superseded"]) == (1, 1, 0)
    by_label = {one.question.label: one for one in outcome.answered}
    assert found["questions"]["own"]["right"] == 100 * same_answer(by_label["own"].after, "Ann")
    assert found["questions"]["wrong"]["right"] == 0.0
    kept = by_label["kept"]
    assert kept.before is not None
    assert kept.right == same_answer(kept.before, kept.after)
    assert found["questions"]["kept"]["answered_with_a_correction"] in (0.0, 100.0)


@pytest.mark.usefixtures("small")
def test_a_run_keeps_each_trial_and_goes_on(make_model, tmp_path, monkeypatch) -> None:
    model = make_model(config=LiveEditConfig(refine_steps=0))
    found = run_scope(model, tmp_path, "validation", ["long-text"])
    written = json.loads((tmp_path / "scope.json").read_text())
    assert written["trials"] == found
    lines = (tmp_path / "scope-long-text.jsonl").read_text().splitlines()
    assert len(lines) == found["long-text"]["questions"]["after 2,000 characters"]["n"] == 2
    monkeypatch.setattr("liveedit.benchmark.scope.suites.run_trial", None)  # is not called again
    assert run_scope(model, tmp_path, "validation", ["long-text"]) == found
    with pytest.raises(OtherRun, match=r"other settings \(split\).*scope\.json"):
        run_scope(model, tmp_path, "evaluation", ["long-text"])
    with pytest.raises(OtherRun, match=r"other settings \(limit\)"):
        run_scope(model, tmp_path, "validation", ["long-text"], limit=1)
    assert json.loads((tmp_path / "scope.json").read_text()) == written


def test_a_few_of_a_suite_by_the_command_line(make_model, tmp_path, monkeypatch, capsys) -> None:
    model = make_model(config=LiveEditConfig(refine_steps=0))
    monkeypatch.setattr("liveedit.cli.bench.load", lambda *_, **__: model)
    options = ["--suite", "look-alikes", "--limit", "8", "--out", str(tmp_path), "--json"]
    monkeypatch.setattr(sys, "argv", ["liveedit", "bench", "run", *options])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    assert not ended.value.code, said.err
    found = json.loads(said.out)["look-alikes"]
    assert (found["corrections"], found["questions"]["saved anew"]["n"]) == (8, 8)
    assert json.loads((tmp_path / "scope.json").read_text())["about"]["limit"] == 8
