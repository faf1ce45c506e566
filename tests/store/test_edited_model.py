"""EditedModel on a store that lasts."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import torch
from PIL import Image

from liveedit.backbones.llava import LlavaBackbone
from liveedit.correction import Correction
from liveedit.editor import EditedModel
from liveedit.errors import PastRevision, StoreMismatch, UnknownRevision
from liveedit.methods.liveedit.config import EditorConfig
from liveedit.methods.liveedit.method import LiveEdit
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.methods.liveedit.representation import measure_scale
from liveedit.store.sql import SqlStore

ASKED = "What is this?"


@pytest.fixture(scope="module")
def network(backbone: LlavaBackbone, pictures: list[Image.Image]) -> EditorNetwork:
    """An untrained editor that lets every expert through and makes it felt."""
    torch.manual_seed(1)
    network = EditorNetwork(EditorConfig(width=32, heads=2, rank=4, dropout=0.0), backbone.width)
    query = backbone.query(pictures, [ASKED] * len(pictures))
    network.set_scale(measure_scale(backbone.states(query)[query.attention_mask.bool()]))
    network.router.margin.fill_(-100)
    network.router.prompt_bias.data.fill_(5)
    network.router.text_bias.data.fill_(5)
    network.generator.v_gain.data.fill_(20)
    return network


@pytest.fixture
def location(tmp_path: Path) -> Path:
    return tmp_path / "edits.db"


@pytest.fixture
def model(backbone: LlavaBackbone, network: EditorNetwork, location: Path) -> EditedModel:
    return EditedModel(LiveEdit(backbone, network), location)


def logits(model: EditedModel, picture: Image.Image) -> torch.Tensor:
    query = model.backbone.query([picture, None], [ASKED, ASKED])
    with torch.no_grad(), model.method.applied(query, model._pool()):
        return model.backbone.model(**query.model_inputs()).logits


def test_a_lasting_store_answers_bit_for_bit_as_memory_does_and_after_a_restart(
    backbone, network, pictures, location, model: EditedModel
) -> None:
    memory = EditedModel(LiveEdit(backbone, network))
    corrections = [
        Correction(image=pictures[0], prompt=ASKED, target="a violet"),
        Correction(image=None, prompt=ASKED, target="a king"),
        Correction(image=pictures[0], prompt=ASKED, target="a rose"),
    ]
    made = [one.edit_many(corrections, batch=2) for one in (memory, model)]
    assert [(m.reached, m.steps, len(m.conflicts)) for m in made[0]] == [
        (m.reached, m.steps, len(m.conflicts)) for m in made[1]
    ]
    again = EditedModel(LiveEdit(backbone, network), str(location))
    assert again.edits == model.edits == (made[1][1].edit, made[1][2].edit)
    assert torch.equal(logits(memory, pictures[0]), logits(again, pictures[0]))
    for one, outcomes in ((memory, made[0]), (model, made[1])):
        one.revoke(outcomes[2].id)
    assert again.generate(pictures[0], ASKED) == "a violet"
    assert torch.equal(logits(memory, pictures[0]), logits(again, pictures[0]))


@pytest.mark.parametrize("lasting", [False, True])
def test_at_a_revision_it_answers_as_it_did(
    backbone, network, pictures, location, lasting: bool
) -> None:
    model = EditedModel(LiveEdit(backbone, network), location if lasting else None)
    seen = [logits(model, pictures[0])]
    first = model.edit(pictures[0], ASKED, "a violet", author="ann", reason="seen")
    seen.append(logits(model, pictures[0]))
    model.edit(pictures[0], ASKED, "a rose")
    seen.append(logits(model, pictures[0]))
    model.revoke(model.edits[0].id)
    seen.append(logits(model, pictures[0]))
    model.revoke(first.id)
    seen.append(logits(model, pictures[0]))
    model.restore(first.id)
    assert torch.equal(logits(model, pictures[0]), seen[1])
    assert torch.equal(seen[0], seen[4])
    assert not torch.equal(seen[1], seen[2])
    for revision, wanted in enumerate(seen):
        with model.at(revision):
            assert torch.equal(logits(model, pictures[0]), wanted)
            targets = [one.edit.target for one in model.explain(pictures[0], ASKED)]
            assert targets == [edit.target for edit in model.edits]
            assert len(targets) == int(0 < revision < 4)
            for write in (
                lambda: model.edit(pictures[0], ASKED, "a tulip"),
                lambda: model.revoke(first.id),
                lambda: model.restore(first.id),
            ):
                with pytest.raises(PastRevision):
                    write()
    with pytest.raises(UnknownRevision), model.at(7):
        pass
    assert model.edits[0].author == "ann"


def test_a_preview_and_a_refusal_write_nothing(model: EditedModel, pictures) -> None:
    model.edit(pictures[0], ASKED, "a violet")
    preview = model.edit(pictures[0], ASKED, "a rose", preview=True)
    assert preview.conflicts[0].kind == "contradicts"

    def refuse(outcomes: list) -> None:
        assert outcomes[0].conflicts
        raise RuntimeError("on purpose")

    correction = Correction(image=pictures[0], prompt=ASKED, target="a rose")
    with pytest.raises(RuntimeError, match="on purpose"):
        model.edit_many([correction], before_write=refuse)
    assert model.store.revision == 1
    assert [edit.target for edit in model.edits] == ["a violet"]


def test_an_answer_is_of_the_revision_at_which_it_began(
    backbone, network, pictures, location, model: EditedModel
) -> None:
    unedited = model.generate(pictures[0], ASKED)
    made = model.edit(pictures[0], ASKED, "a violet")
    other = EditedModel(LiveEdit(backbone, network), location)
    done: list[str] = []

    def revoke(*_: object) -> None:
        if not done:
            done.append(other.revoke(made.id).id)

    handle = backbone.model.get_decoder().layers[0].register_forward_hook(revoke)
    try:
        assert model.generate(pictures[0], ASKED) == "a violet"
    finally:
        handle.remove()
    assert done == [made.id]
    assert model.generate(pictures[0], ASKED) == unedited


def test_a_damaged_expert_leaves_the_answer_to_the_backbone(
    backbone, network, pictures, location, model: EditedModel
) -> None:
    base = logits(model, pictures[0])
    model.edit(pictures[0], ASKED, "a violet")
    model.store.close()
    with sqlite3.connect(location) as connection:
        connection.execute("UPDATE experts SET tensors = zeroblob(length(tensors))")
    connection.close()
    again = EditedModel(LiveEdit(backbone, network), location)
    assert torch.equal(logits(again, pictures[0]), base)
    assert len(again.store.damaged) == 1
    assert again.edits == ()


def test_a_damaged_expert_leaves_the_answer_in_a_conversation_to_the_backbone(
    backbone, network, pictures, location, model: EditedModel
) -> None:
    model.edit(pictures[0], ASKED, "a violet")
    model.store.close()
    with closing(sqlite3.connect(location)) as connection, connection:
        connection.execute("UPDATE experts SET tensors = zeroblob(length(tensors))")
    again = EditedModel(LiveEdit(backbone, network), location)
    picture = {"type": "image", "image": pictures[0]}
    talk = [
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": [picture, {"type": "text", "text": ASKED}]},
    ]
    answer = again.chat(talk, max_new_tokens=6)
    assert len(again.store.damaged) == 1
    with again.disabled():
        assert answer == again.chat(talk, max_new_tokens=6)


def test_another_editor_or_layer_is_refused(
    backbone, network, pictures, location, model: EditedModel
) -> None:
    model.edit(pictures[0], ASKED, "a violet")
    torch.manual_seed(2)
    other = EditorNetwork(network.config, backbone.width)
    with pytest.raises(StoreMismatch, match="editor"):
        EditedModel(LiveEdit(backbone, other), location)
    with pytest.raises(StoreMismatch, match="editor"):
        EditedModel(LiveEdit(backbone, other), SqlStore(location))
    empty = SqlStore(location.with_name("empty.db"), model.store.log.identity)
    assert EditedModel(LiveEdit(backbone, network), empty).store is empty
    lower = LlavaBackbone(backbone.model, backbone.processor, edit_layer=2, name="tiny")
    with pytest.raises(StoreMismatch, match="edit_layer: store 1, here 2"):
        EditedModel(LiveEdit(lower, network), location)
