"""Which corrections still hold, and new edits for those that do not."""

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
import torch
from PIL import Image

from liveedit.backbones.registry import load_backbone
from liveedit.editor import EditedModel
from liveedit.editor.verify import verify
from liveedit.methods.liveedit.method import LiveEdit
from liveedit.store import schema
from liveedit.store.checksums import checksum, edit_checksum
from liveedit.store.picture_rules import Keep, PictureRules
from liveedit.store.serialization import pack, unpack
from liveedit.store.sql import SqlStore
from tests.editor.models import felt_model

ASKED = "What is this?"


@pytest.fixture
def model(backbone, pictures: list[Image.Image], tmp_path: Path) -> EditedModel:
    """Two edits of one set, and one of another, in a store that lasts."""
    model = EditedModel(felt_model(backbone, pictures).method, tmp_path / "edits.db")
    model.edit(pictures[0], ASKED, "a violet", author="ann", reason="seen")
    model.edit(None, "Who is it?", "a king")
    with model.namespace("shop"):
        model.edit(pictures[1], ASKED, "a rose")
    return model


def spoil(store: SqlStore, edit_id: str) -> None:
    """Have an edit say something else: its expert is put upside down, checksums and all."""
    (row,) = store.log.stored([edit_id])
    values = unpack(store.log.values([row.number])[row.number], store.log.identity.layout.values)
    data = pack({name: -one if name == "v" else one for name, one in values.items()})
    sums = checksum(row.keys), checksum(data)
    with store.log.database.write() as connection:
        experts, edits = schema.experts, schema.edits
        connection.execute(
            experts.update().where(experts.c.number == row.number), {"tensors": data}
        )
        changed = {"expert_checksum": sums[1], "checksum": edit_checksum(row.edit, *sums)}
        connection.execute(sa.update(edits).where(edits.c.number == row.number), changed)


def opened_again(model: EditedModel) -> EditedModel:
    return EditedModel(model.method, model.store.log.location)


def test_with_the_same_model_all_hold(model: EditedModel) -> None:
    found = verify(model)
    assert [one.edit for one in found] == list(model.edits)
    assert [(one.holds, one.answer, one.shown) for one in found] == [(True, None, "whole")] * 3
    assert [one.edit.target for one in verify(model, namespace="shop")] == ["a rose"]


def test_in_memory_it_is_the_same(backbone, pictures) -> None:
    model = felt_model(backbone, pictures)
    model.edit(pictures[0], ASKED, "a violet")
    assert [one.holds for one in verify(model)] == [True]


def test_what_does_not_hold_is_made_anew_and_nothing_else(model: EditedModel, pictures) -> None:
    first = model.edits[0]
    spoil(model.store, first.id)
    model = opened_again(model)
    found = verify(model)
    assert [one.holds for one in found] == [False, True, True]
    assert model.generate(pictures[0], ASKED).startswith(found[0].answer)
    assert model.store.revision == 3
    found = verify(model, remake=True)
    assert [one.holds for one in found] == [False, True, True]
    new = found[0].remade.edit
    assert new.supersedes == (first.id,)
    assert replace(new, id=first.id, created=first.created, supersedes=()) == first
    assert model.generate(pictures[0], ASKED) == "a violet"
    assert all(one.holds for one in verify(model))
    assert [edit.id for edit in model.edits][2] == new.id
    assert model.store.files(new.image) != ()
    model.revoke(new.id)
    assert model.edits[0] == first


def test_what_is_known_by_its_thumbnail_alone_is_asked_and_never_made_anew(
    backbone, pictures, tmp_path: Path
) -> None:
    method = felt_model(backbone, pictures).method
    off = PictureRules(keep=Keep.off)
    store = SqlStore(tmp_path / "edits.db", method.identity, pictures=off)
    model = EditedModel(method, store)
    one = model.edit(pictures[0], ASKED, "a violet").edit
    two = model.edit([pictures[0], pictures[1]], "What are these?", "a pair").edit
    spoil(store, one.id)
    model = opened_again(model)
    found = {found.edit.id: found for found in verify(model, remake=True)}
    assert found[one.id].shown == "thumbnail"
    assert found[one.id].remade is None
    assert "--add" in found[one.id].problem
    assert (found[two.id].holds, found[two.id].shown) == (None, "missing")
    assert "not kept" in found[two.id].problem
    assert model.store.revision == 2


def test_another_precision_opens_the_store_and_is_told_what_holds(
    model: EditedModel, tiny_folder: Path, pictures
) -> None:
    full, half = (load_backbone(tiny_folder, dtype=one) for one in (torch.float32, torch.bfloat16))
    location = Path(model.store.log.location).with_name("other.db")
    made = EditedModel(LiveEdit(full, model.method.network), location)
    made.edit(pictures[0], ASKED, "a violet")
    lower = EditedModel(LiveEdit(half, model.method.network), location)
    assert "dtype: store 'float32', here 'bfloat16'" in lower.store.log.warning
    (found,) = verify(lower, remake=True)
    assert found.holds or found.remade is not None
    assert [one.holds for one in verify(lower)] == [True]
