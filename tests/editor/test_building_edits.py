"""Verifying, carrying over and taking back where edits build on each other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from liveedit.backbones.query import Questions
from liveedit.editor import EditedModel
from liveedit.editor.rebase import rebase
from liveedit.editor.verify import verify
from liveedit.methods.base import Method
from liveedit.methods.ft_l.config import FineTuningLConfig
from liveedit.methods.ft_l.method import FineTuningL
from liveedit.methods.lemoe.config import LemoeConfig
from liveedit.methods.lemoe.method import Lemoe
from liveedit.methods.lora.config import LoraMethodConfig
from liveedit.methods.lora.method import Lora
from liveedit.store.log import EditLog
from tests.methods.samples import plain_logits

ASKED, TARGETS = "What animal is this?", ("w", "I", "a")
WEAK = {
    "ft-l": lambda backbone: FineTuningL(backbone, FineTuningLConfig(steps=1)),
    "lora": lambda backbone: Lora(backbone, LoraMethodConfig(steps=1)),
    "lemoe": lambda backbone: Lemoe(backbone, LemoeConfig(per_expert=2, steps=1, scope=0.9)),
}
STRONG = {
    "ft-l": lambda backbone: FineTuningL(
        backbone, FineTuningLConfig(rate=0.02, steps=40, norm=1.0)
    ),
    "lora": lambda backbone: Lora(backbone, LoraMethodConfig(rate=0.02, steps=40)),
    "lemoe": lambda backbone: Lemoe(
        backbone, LemoeConfig(per_expert=2, rate=0.05, steps=40, scope=0.9)
    ),
}


def logits_of(model: EditedModel, picture) -> torch.Tensor:
    with torch.no_grad(), model._answering(Questions(pictures=[picture], prompts=[ASKED])) as query:
        return model.backbone.logits(query)


def edited(method: Method, pictures, store: Path) -> EditedModel:
    model = EditedModel(method, store)
    for picture, target in zip(pictures, TARGETS, strict=True):
        model.edit(picture, ASKED, target, author="ann", keep=True)
    return model


def revoke_all(model: EditedModel, pictures) -> None:
    """Take everything back, the oldest first, and what that brings back; nothing of it is left."""
    for _ in range(2 * len(model.edits)):
        if model.edits:
            model.revoke(model.edits[0].id)
    assert model.edits == ()
    for picture in pictures:
        assert torch.equal(logits_of(model, picture), plain_logits(model, picture, ASKED))


@pytest.mark.parametrize("name", ["ft-l", "lemoe"])
def test_what_does_not_hold_is_made_anew_on_top_of_the_others(
    name, backbone, pictures, tmp_path
) -> None:
    model = edited(WEAK[name](backbone), pictures, tmp_path / "edits.db")
    assert not any(one.holds for one in verify(model))
    again = EditedModel(STRONG[name](backbone), tmp_path / "edits.db")
    found = verify(again, remake=True)
    made = {one.remade.id for one in found if one.remade is not None}
    assert made, "the last of a batch at least is reached; earlier ones may be undone by it"
    assert made <= {edit.id for edit in again.edits}
    assert all(edit.author == "ann" for edit in again.edits)
    assert len(again.edits) == 3
    assert {one.edit.id for one in verify(again) if one.holds} >= made
    revoke_all(again, pictures)


def test_what_others_undo_when_they_are_made_anew_is_told(backbone, pictures, tmp_path) -> None:
    model = EditedModel(STRONG["ft-l"](backbone), tmp_path / "edits.db")
    kept = model.edit(pictures[0], ASKED, "w", keep=True)
    assert [one.holds for one in verify(model)] == [True]
    weak = EditedModel(WEAK["ft-l"](backbone), tmp_path / "edits.db")
    lost = weak.edit(pictures[1], ASKED, "I", keep=True)
    assert [one.holds for one in verify(model)] == [True, False]
    found = {one.edit.id: one for one in verify(model, remake=True)}
    assert found[lost.id].remade is not None
    (holds,) = (one.holds for one in verify(model) if one.edit.id == kept.id)
    assert found[kept.id].holds == holds
    assert holds or "others were made anew" in found[kept.id].problem


@pytest.mark.parametrize(("old", "new"), [("ft-l", "lemoe"), ("lemoe", "lora")])
def test_from_one_method_to_another_and_back_to_nothing(
    old, new, backbone, pictures, tmp_path
) -> None:
    edited(WEAK[old](backbone), pictures, tmp_path / "old.db")
    model = EditedModel(STRONG[new](backbone), tmp_path / "new.db")
    report = rebase(EditLog(tmp_path / "old.db"), model, batch=2)
    assert len(report.made) + len(report.right) + len(report.not_reached) == 3
    assert report.made
    assert {edit.id for edit in model.edits} == {edit.id for edit in report.made}
    assert rebase(EditLog(tmp_path / "old.db"), model).made == report.made, "nothing anew"
    revoke_all(model, pictures)
