"""A store and an edited model that were written before methods had names: they open as they are."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
import torch

from liveedit.backbones.llava import LlavaBackbone
from liveedit.editor import EditedModel
from liveedit.errors import OtherMethod
from liveedit.methods.liveedit.method import LiveEdit
from liveedit.store.check import check_store
from liveedit.store.log import EditLog
from liveedit.store.memory import MemoryStore
from liveedit.store.saved_edits import load_edits
from tests.store.samples import content

OLDER = Path(__file__).parents[1] / "older"
EXPECTED = json.loads((OLDER / "expected.json").read_text())
ASKED = "What is this?"


@pytest.fixture
def method(backbone: LlavaBackbone) -> LiveEdit:
    found = backbone.fingerprint()
    if found != EXPECTED["fingerprint"]:
        pytest.skip(f"this release of transformers describes the tiny model otherwise: {found}")
    return LiveEdit.load(backbone, OLDER / "model")


@pytest.fixture
def location(tmp_path: Path) -> Path:
    """The store as it was, made again from its dump."""
    path = tmp_path / "edits.db"
    with sqlite3.connect(path) as connection:
        connection.executescript((OLDER / "edits.sql").read_text())
    return path


def test_the_store_opens_and_its_edits_answer(method, location, pictures) -> None:
    model = EditedModel(method, location)
    first, text_only, elsewhere, revoked = EXPECTED["ids"]
    assert [edit.id for edit in model.edits] == [first, text_only, elsewhere]
    assert model.store.log.entries(ids=[revoked])[0].state == "revoked"
    assert model.generate(pictures[0], ASKED, max_new_tokens=8) == EXPECTED["edited"]
    with model.disabled():
        assert model.generate(pictures[0], ASKED, max_new_tokens=8) == EXPECTED["plain"]
    weights = {one.edit.id: one.weight for one in model.explain(pictures[0], ASKED)}
    assert weights == pytest.approx(EXPECTED["weights"], abs=1e-5)
    assert check_store(model.store.log).clean
    model.edit(pictures[1], ASKED, "a mule")
    assert len(EditedModel(method, location).edits) == 4


def test_where_it_may_only_be_read_it_is_read(method, location, pictures) -> None:
    location.chmod(0o444)
    location.parent.chmod(0o555)
    try:
        if _can_write(location.parent):
            pytest.skip("whoever runs this may write everywhere")
        assert EditedModel(method, location).generate(pictures[0], ASKED) == EXPECTED["edited"]
    finally:
        location.parent.chmod(0o755)


def test_another_method_does_not_touch_it(method, location) -> None:
    from dataclasses import replace

    before = content(location)
    with pytest.raises(OtherMethod, match="method='liveedit'"):
        EditLog(location, replace(method.identity, method="retrieval"))
    assert content(location) == before


def test_the_saved_model_opens(method, pictures, tmp_path) -> None:
    store = MemoryStore(method.layout)
    load_edits(OLDER / "model", store, method.layout)
    assert [edit.id for edit in store.edits] == EXPECTED["ids"][:3]
    model = EditedModel(method, store)
    assert model.generate(pictures[0], ASKED, max_new_tokens=8) == EXPECTED["edited"]
    model.save_pretrained(tmp_path / "again")
    for name in ("editor.safetensors", "config.json"):
        assert (tmp_path / "again" / name).read_bytes() == (OLDER / "model" / name).read_bytes()
    again = MemoryStore(method.layout)
    load_edits(tmp_path / "again", again, method.layout)
    assert again.edits == store.edits
    for name in ("u", "v"):
        assert all(map(torch.equal, again.pool().take(None)[name], store.pool().take(None)[name]))
    shutil.rmtree(tmp_path / "again")


def _can_write(folder: Path) -> bool:
    try:
        (folder / "trial").touch()
    except OSError:
        return False
    (folder / "trial").unlink()
    return True
