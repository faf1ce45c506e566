"""Trials on pictures of one's own: which are asked about, with which answers, in which groups."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from liveedit import cli
from liveedit.benchmark.scope.own_pictures import OWN_TRIALS, own_trials
from liveedit.benchmark.scope.suites import run_trials
from liveedit.benchmark.suite import photo_suite, stated_suite
from liveedit.correction import open_image
from liveedit.data.photo_edit.folder import PhotoFolder, read_photo_folder
from liveedit.data.photo_edit.photo import Photo
from liveedit.data.resaving import MIRRORED, RESAVED
from liveedit.data.views import open_view
from liveedit.errors import BadAnnotations
from liveedit.methods.liveedit.config import LiveEditConfig
from tests.photographs import corrections_file, photo_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> PhotoFolder:
    return read_photo_folder(photo_folder(tmp_path_factory.mktemp("own") / "all", each=4))


@pytest.fixture(scope="module")
def cases(folder: PhotoFolder):
    return photo_suite(folder, "evaluation", None, limit=7).pictured


def test_each_view_of_each_correction_in_groups(cases, folder) -> None:
    trials = list(own_trials(cases, folder, 3)["saved-anew"]())
    assert [len(trial.corrections[0]) for trial in trials] == [3, 3, 1]
    asked = [one for trial in trials for one in trial.questions]
    assert len(asked) == 7 * (len(RESAVED) + 2)
    targets = [one.target for trial in trials for _, one in trial.corrections[0]]
    assert [one.target for one in asked if one.label == "as it was"] == targets
    first = open_image(cases[0].scene.file)
    by_label = {one.label: open_view(one.picture) for one in trials[0].questions[: len(asked) // 7]}
    assert by_label.keys() == {"as it was", *RESAVED, MIRRORED}
    assert np.array_equal(np.asarray(by_label[MIRRORED]), np.asarray(first)[:, ::-1])
    assert by_label["half"].width == round(first.width / 2)


def test_every_other_photograph_of_the_thing(cases, folder) -> None:
    (trial,) = own_trials(cases, folder, 100)["another-photograph"]()
    assert len(trial.questions) == 7 * 3
    shown = {(case.scene.thing, case.question.text): case.scene.file for case in cases}
    for one in trial.questions:
        assert isinstance(one.picture, Photo)
        assert one.picture.file in folder.classes[one.picture.thing]
        assert one.picture.file != shown[one.picture.thing, one.prompt]


def test_photographs_of_one_thing_have_answers_of_their_own(cases, folder) -> None:
    trials = list(own_trials(cases, folder, 6)["several-of-a-thing"]())
    things = {case.scene.thing for case in cases}
    assert sum(len(trial.corrections[0]) for trial in trials) == 3 * len(things)
    assert all(len(trial.corrections[0]) <= 6 for trial in trials)
    answers: dict[str, set[str]] = {}
    for one in (one for trial in trials for one in trial.questions):
        answers.setdefault(one.picture.thing, set()).add(one.target)
    assert all(len(some) == 3 for some in answers.values())


def test_single_photographs_have_no_other(tmp_path: Path) -> None:
    folder = read_photo_folder(photo_folder(tmp_path / "photos", each=3), single=True)
    assert len(folder.single) == len(folder.classes) == 15
    cases = photo_suite(folder, "evaluation", None).pictured
    assert all(case.scene.another is None for case in cases)
    for name in ("another-photograph", "several-of-a-thing"):
        with pytest.raises(BadAnnotations, match="leave this suite out"):
            list(own_trials(cases, folder, 5)[name]())


def test_other_datasets_have_their_pictures_saved_anew(tmp_path: Path) -> None:
    suite = stated_suite(corrections_file(tmp_path, 4), None)
    trials = own_trials(suite.pictured, None, 10)
    assert list(trials) == ["saved-anew"]
    (trial,) = trials["saved-anew"]()
    assert len(trial.questions) == 4 * (len(RESAVED) + 2)


def test_results_of_groups_are_taken_together(cases, folder, make_model, tmp_path: Path) -> None:
    model = make_model(config=LiveEditConfig(refine_steps=0))
    trials = own_trials(cases, folder, 4)
    found = run_trials(model, tmp_path, {"free-wordings": trials["free-wordings"]}, {"edits": 4})
    trial = found["free-wordings"]
    assert (trial["corrections"], trial["together"]) == (7, 4)
    assert trial["questions"]["free wording"]["n"] == 7
    lines = (tmp_path / "scope-free-wordings.jsonl").read_text().splitlines()
    assert len(lines) == 7
    assert json.loads((tmp_path / "scope.json").read_text())["about"]["edits"] == 4


def test_the_command(tmp_path: Path, tiny_folder, make_model, monkeypatch, capsys) -> None:
    model = make_model(config=LiveEditConfig(refine_steps=0))
    monkeypatch.setattr("liveedit.cli.bench.load", lambda *_, **__: model)
    root = photo_folder(tmp_path / "photos")

    def run(*arguments: object) -> tuple[int, str, str]:
        fixed = ["bench", "run", "--dataset", "photo-edit", "--images", root, "--out", tmp_path]
        monkeypatch.setattr(sys, "argv", ["liveedit", *map(str, [*fixed, *arguments])])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    status, out, error = run("--suite", "another-photograph", "--limit", 4, "--edits", 2, "--json")
    assert status == 0, error
    assert json.loads(out)["another-photograph"]["questions"]["another photograph"]["n"] == 4
    assert "free-wordings, another-photograph" in run("--suite", "nothing")[2]
    assert "one number" in run("--suite", "all", "--edits", "1,10")[2]
    assert "no use for it" in run("--suite", "all", "--retention")[2]


def test_the_names_are_those_of_photo_edit(cases, folder) -> None:
    assert tuple(own_trials(cases, folder, 5)) == OWN_TRIALS
