"""Corrections of a store made anew for another editor, method or model."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from liveedit.backbones.base import Backbone
from liveedit.backbones.registry import load_backbone
from liveedit.correction import Correction
from liveedit.editor import EditedModel
from liveedit.editor.rebase import corrections_of, rebase
from liveedit.errors import BadRebase, StoreUnusable, TargetTooLong
from liveedit.methods.base import Method
from liveedit.methods.liveedit.config import EditorConfig
from liveedit.methods.liveedit.method import LiveEdit
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.methods.liveedit.representation import measure_scale
from liveedit.methods.retrieval.method import Retrieval
from liveedit.methods.shared.training.examples import Example
from liveedit.store.adding_pictures import add_pictures, picture_files
from liveedit.store.carried import refuse_target, source_of
from liveedit.store.check import check_store
from liveedit.store.log import EditLog
from liveedit.store.picture_rules import Keep, PictureRules
from liveedit.store.sql import SqlStore
from tests.backbones.families import tiny
from tests.editor.models import felt_model
from tests.store.samples import content

ASKED = "What is this?"


def untrained(backbone: Backbone, pictures: list[Image.Image], *, margin: float) -> LiveEdit:
    """An editor whose weights nobody trained, and whose experts are felt."""
    torch.manual_seed(3)
    network = EditorNetwork(EditorConfig(width=16, heads=2, rank=4, dropout=0.0), backbone.width)
    query = backbone.query([None, pictures[0]], [ASKED, ASKED])
    network.set_scale(measure_scale(backbone.states(query)[query.attention_mask.bool()]))
    network.router.margin.fill_(margin)
    network.router.prompt_bias.data.fill_(5)
    network.router.text_bias.data.fill_(5)
    network.router.vision_scale.data.fill_(1000)  # so that the nearest alone answers
    network.router.prompt_scale.data.fill_(1000)
    network.generator.v_gain.data.fill_(20)
    return LiveEdit(backbone, network)


@pytest.fixture
def old(backbone, pictures: list[Image.Image], tmp_path: Path) -> EditLog:
    """What a year of corrections looks like: sets, authors, one superseded, one revoked."""
    model = EditedModel(untrained(backbone, pictures, margin=-100), tmp_path / "old.db")
    model.edit(pictures[0], ASKED, "a violet", author="ann", reason="seen")
    model.edit(pictures[0], ASKED, "a rose", author="bob", rephrasings=["What may this be?"])
    model.edit(None, "Who is it?", "a king", author="cy")
    gone = model.edit(pictures[1], "Where is it?", "in Rome")
    model.revoke(gone.id)
    with model.namespace("shop"):
        model.edit(pictures[1], ASKED, "a tulip")
        model.edit([pictures[0], pictures[1]], "What are these?", "a pair")
    return EditLog(tmp_path / "old.db")


def told(log: EditLog) -> list[tuple[object, str]]:
    return [(entry.edit, entry.state) for entry in log.entries() if entry.state != "revoked"]


def test_to_another_editor_everything_is_carried_over_as_it_was(
    backbone, pictures, old: EditLog, tmp_path: Path
) -> None:
    model = EditedModel(untrained(backbone, pictures, margin=-90), tmp_path / "new.db")
    before = content(tmp_path / "old.db")
    report = rebase(old, model, batch=2)
    assert content(tmp_path / "old.db") == before
    assert report.not_reached == []
    assert len(report.made) + len(report.right) == 5
    made = {edit.id for edit in report.made}
    assert told(model.store.log) == [one for one in told(old) if one[0].id in made]
    assert model.generate(pictures[0], ASKED) == "a rose"
    assert model.generate(None, "Who is it?") == "a king"
    with model.namespace("shop"):
        assert model.generate(pictures[1], ASKED) == "a tulip"
    assert check_store(model.store.log).clean
    assert model.store.log.picture_use().without == 0
    (newer,) = (edit for edit in model.edits if edit.target == "a rose")
    model.revoke(newer.id)
    assert model.generate(pictures[0], ASKED) == "a violet"


def test_what_comes_later_is_taken_up_and_nothing_twice(
    backbone, pictures, old: EditLog, tmp_path: Path
) -> None:
    before = EditedModel(untrained(backbone, pictures, margin=-100), old.location)
    model = EditedModel(untrained(backbone, pictures, margin=-90), tmp_path / "new.db")
    assert len(rebase(old, model).made) == 5
    revision = model.store.revision
    assert len(rebase(old, model).made) == 5
    assert model.store.revision == revision
    before.edit(pictures[2], "Why?", "because")
    assert len(rebase(old, model).made) == 6
    assert model.generate(pictures[2], "Why?") == "because"


def prepared(backbone: Backbone, pictures: list[Image.Image], folder: Path) -> Method:
    examples = [
        Example(
            correction=Correction(image=image, prompt=ASKED, target="a lynx"),
            concerned=[(image, "What may this be?")],
            unconcerned=[(image, "Where was it taken?")],
        )
        for image in (*pictures[:2], None)
    ]
    return Retrieval.load(backbone, Retrieval.prepare(backbone, folder, examples=examples))


@pytest.mark.parametrize("where", ["retrieval", "another family", "another family, retrieval"])
def test_to_another_method_or_family_each_is_made_or_named(
    backbone, pictures, old: EditLog, tmp_path: Path, where: str
) -> None:
    other = tiny("qwen2_vl") if "family" in where else backbone
    if "retrieval" in where:
        method = prepared(other, pictures, tmp_path / "thresholds")
    else:
        method = untrained(other, pictures, margin=-100)
    model = EditedModel(method, tmp_path / "new.db")
    report = rebase(old, model, batch=3)
    outcomes = [report.made, report.right, [edit for edit, _ in report.not_reached]]
    carried = sorted(edit.id for some in (*outcomes, report.outdated) for edit in some)
    assert carried == sorted(entry.edit.id for entry in corrections_of(old))
    assert all(why for _, why in report.not_reached)
    for edit in model.edits:
        assert edit.id in {one.id for one in report.made}
    assert check_store(model.store.log).clean


def test_what_the_newer_one_does_not_reach_is_not_answered_as_it_was_before_it(
    backbone, pictures, old: EditLog, tmp_path: Path, monkeypatch
) -> None:
    method = untrained(backbone, pictures, margin=-90)
    model = EditedModel(method, tmp_path / "new.db")
    unedited = model.generate(pictures[0], ASKED)
    check = method.backbone.check_target

    def refuse(target: str) -> None:
        if target == "a rose":
            raise TargetTooLong(tokens=3, limit=2)
        check(target)

    monkeypatch.setattr(method.backbone, "check_target", refuse)
    report = rebase(old, model)
    assert [(edit.target, why[:14]) for edit, why in report.not_reached] == [
        ("a rose", "the target has")
    ]
    assert [edit.target for edit in report.outdated] == ["a violet"]
    assert model.generate(pictures[0], ASKED) == unedited
    revision = model.store.revision
    assert [edit.target for edit in rebase(old, model).outdated] == ["a violet"]
    assert model.store.revision == revision


def test_from_thumbnails_where_that_is_all_there_is(backbone, pictures, tmp_path: Path) -> None:
    method = untrained(backbone, pictures, margin=-100)
    rules = PictureRules(keep=Keep.off)
    store = SqlStore(tmp_path / "old.db", method.identity, pictures=rules)
    before = EditedModel(method, store)
    one = before.edit(pictures[0], ASKED, "a violet")
    two = before.edit([pictures[0], pictures[1]], "What are these?", "a pair")
    model = EditedModel(untrained(backbone, pictures, margin=-90), tmp_path / "new.db")
    report = rebase(store.log, model)
    assert report.thumbnails == [one.id]
    assert [edit.id for edit in report.made] == [one.id]
    assert [(edit.id, "not kept" in why) for edit, why in report.not_reached] == [(two.id, True)]
    assert model.edits[0].image == one.edit.image
    assert model.store.files(one.edit.image) == ()
    assert model.generate(pictures[0], ASKED) == "a violet"
    for number, picture in enumerate(pictures):
        picture.save(tmp_path / f"{number}.png")
    store.log.set_picture_rules(PictureRules())
    assert add_pictures(store.log, picture_files(tmp_path)) == 2
    report = rebase(store.log, model)
    assert [edit.id for edit in report.made] == [one.id, two.id]
    assert report.not_reached == []


def test_damaged_edits_are_left_out(backbone, pictures, old: EditLog, tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(old.location) as connection:
        connection.execute("UPDATE edits SET target = 'a lie' WHERE target = 'a king'")
    model = EditedModel(untrained(backbone, pictures, margin=-90), tmp_path / "new.db")
    report = rebase(old, model)
    (spoiled,) = (one.edit for one in old.entries() if one.state == "damaged")
    assert spoiled.id not in {edit.id for edit in (*report.made, *report.right)}
    assert [(edit.id, why[:13]) for edit, why in report.not_reached] == [
        (spoiled.id, "it is damaged")
    ]


def test_targets_that_are_refused_stay_as_they_are(
    backbone, pictures, old: EditLog, tmp_path: Path
) -> None:
    method = untrained(backbone, pictures, margin=-90)
    other = EditedModel(method, tmp_path / "other.db")
    with pytest.raises(BadRebase, match="the store itself"):
        refuse_target(old, old.location)
    (tmp_path / "link.db").symlink_to(old.location)
    with pytest.raises(BadRebase, match="the store itself"):
        refuse_target(old, tmp_path / "link.db")
    refuse_target(old, tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()
    refuse_target(old, tmp_path / "other.db")
    other.edit(pictures[2], ASKED, "a daisy")
    with pytest.raises(BadRebase, match="holds edits already"):
        refuse_target(old, tmp_path / "other.db")
    with pytest.raises(BadRebase, match="holds edits already"):
        rebase(old, other)
    assert other.store.revision == 1
    carried = EditedModel(method, tmp_path / "carried.db")
    rebase(other.store.log, carried)
    assert source_of(carried.store.log)["location"] == str(tmp_path / "other.db")
    with pytest.raises(BadRebase, match=r"carried over from .*other\.db"):
        rebase(old, carried)
    assert carried.store.revision == 1


def test_nothing_to_carry_over_and_nowhere_to_carry_it(
    backbone, pictures, old: EditLog, tmp_path: Path
) -> None:
    method = untrained(backbone, pictures, margin=-90)
    empty, model = (EditedModel(method, tmp_path / name) for name in ("empty.db", "new.db"))
    with pytest.raises(BadRebase, match="no correction that is in force"):
        rebase(empty.store.log, model)
    assert source_of(model.store.log) is None
    with pytest.raises(StoreUnusable, match="store that lasts"):
        rebase(old, felt_model(backbone, pictures))


CHILD = """
import os, signal, sys
from pathlib import Path
from liveedit.backbones.registry import load_backbone
from liveedit.editor import EditedModel
from liveedit.editor.rebase import rebase
from liveedit.methods.liveedit.method import LiveEdit
from liveedit.store import crash_points
from liveedit.store.log import EditLog

folder, point, after = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
passed = 0

def reached(name):
    global passed
    passed += name == point
    if passed > after:
        os.kill(os.getpid(), signal.SIGKILL)

method = LiveEdit.load(load_backbone(folder / "tiny"), folder / "editor")
model = EditedModel(method, folder / "new.db")
crash_points.reached = reached
rebase(EditLog(folder / "old.db"), model, batch=2)
"""


def test_killed_in_the_middle_it_goes_on_as_if_it_had_not_been(
    tiny_folder: Path, pictures, tmp_path: Path
) -> None:
    (tmp_path / "tiny").symlink_to(tiny_folder)
    backbone = load_backbone(tmp_path / "tiny")
    before = EditedModel(untrained(backbone, pictures, margin=-100), tmp_path / "old.db")
    for number, picture in enumerate(pictures):
        for asked in (ASKED, "Where is it?"):
            before.edit(picture, asked, f"number {number}", keep=True)
    method = untrained(backbone, pictures, margin=-90)
    method.save(tmp_path / "editor")
    for point, after, written in (("committed", 0, 2), ("experts", 1, 4)):
        arguments = [sys.executable, "-c", CHILD, str(tmp_path), point, str(after)]
        done = subprocess.run(arguments, capture_output=True)
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        assert len(EditLog(tmp_path / "new.db").entries()) == written
    again, fresh = (EditedModel(method, tmp_path / name) for name in ("new.db", "fresh.db"))
    reports = [rebase(EditLog(tmp_path / "old.db"), one, batch=2) for one in (again, fresh)]
    assert reports[0] == reports[1]
    assert len(reports[0].made) == 6
    assert told(again.store.log) == told(fresh.store.log)
    for name in ("u", "v"):
        one, other = (model.store.pool().take(None)[name] for model in (again, fresh))
        assert all(map(torch.equal, one, other))
    assert check_store(again.store.log).clean
