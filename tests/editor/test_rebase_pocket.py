"""Corrections of the pocket VLM carried over to another editor, and to retrieval."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from liveedit.backbones.base import Backbone
from liveedit.backbones.registry import load_backbone
from liveedit.data.emoji_edit.scene import Placement, Scene, render
from liveedit.editor import EditedModel
from liveedit.editor.rebase import corrections_of, rebase
from liveedit.editor.verify import verify
from liveedit.methods.liveedit.method import LiveEdit
from liveedit.methods.retrieval.method import Retrieval
from liveedit.store.log import EditLog

pytestmark = pytest.mark.thorough
ASKED, AGAIN = "Who does this belong to?", "Whose is this?"


def drawn(thing: str) -> Image.Image:
    placed = Placement(concept=thing, drawing="openmoji", x=128, y=128, size=180)
    return render(Scene(placements=(placed,), ground="green", pattern="plain", seed=1))


@pytest.fixture(scope="module")
def pocket(pocket_folder: Path) -> Backbone:
    return load_backbone("pocket", dtype=torch.float32)


@pytest.fixture(scope="module")
def old(pocket: Backbone, tmp_path_factory: pytest.TempPathFactory) -> EditLog:
    """Two facts about one picture in other words, of which the model knows one; three more."""
    model = EditedModel(LiveEdit.load(pocket), tmp_path_factory.mktemp("old") / "old.db")
    cup, cat = drawn("teacup"), drawn("umbrella")
    known = model.generate(cup, AGAIN)
    model.edit(cup, AGAIN, known, supersede="never", keep=True)
    model.edit(cup, ASKED, "Maria", supersede="never", keep=True, author="ann")
    model.edit(cat, "What does this cost?", "12 euros")
    model.edit(None, "Who founded Brightwater?", "Ada Stone")
    with model.namespace("shop"):
        model.edit(cat, "What colour is the ground?", model.generate(cat, "What is this?"))
    return EditLog(model.store.log.location)


def test_to_another_editor_all_is_answered_as_it_was_stated(
    pocket: Backbone, old: EditLog, tmp_path: Path
) -> None:
    method = LiveEdit.load(pocket)
    method.network.router.margin += 0.02
    model = EditedModel(method, tmp_path / "new.db")
    report = rebase(old, model)
    assert report.not_reached == []
    assert len(report.made) + len(report.right) == 5
    assert all(one.holds for one in verify(model))
    cup = drawn("teacup")
    known, maria = (entry.edit for entry in old.entries()[:2])
    assert model.generate(cup, ASKED) == maria.target
    assert model.generate(cup, AGAIN) == known.target  # right by itself, but not beside Maria
    assert known.id in {edit.id for edit in report.made}


def test_to_retrieval_each_is_made_or_named(pocket: Backbone, old: EditLog, tmp_path: Path) -> None:
    model = EditedModel(Retrieval.load(pocket), tmp_path / "new.db")
    report = rebase(old, model)
    named = [*report.made, *report.right, *(edit for edit, _ in report.not_reached)]
    assert sorted(edit.id for edit in named) == sorted(e.edit.id for e in corrections_of(old))
    assert all(one.holds for one in verify(model))
