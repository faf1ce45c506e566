"""What the rest of the project relies on, whatever the method: here one of a package."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from liveedit.backbones.query import Questions
from liveedit.correction import Correction
from liveedit.editor import EditedModel
from liveedit.errors import MethodCannot, OtherMethod, TextOnlyCorrection
from liveedit.methods.base import Abilities
from liveedit.methods.registry import method_class
from liveedit.store.sql import SqlStore
from tests.store.samples import content

ASKED = "What is this?"


@pytest.fixture
def repeat(plugins, backbone):
    return method_class("repeat").load(backbone)


@pytest.fixture
def model(repeat) -> EditedModel:
    return EditedModel(repeat)


def ids_of(model: EditedModel, pictures, prompt: str = ASKED) -> list[int]:
    """What the backbone is given."""
    from liveedit.editor.inputs import open_questions

    with model._answering(open_questions([pictures[0]], [prompt])) as query:
        return query.input_ids[0].tolist()


def test_an_edit_concerns_its_question_until_it_is_revoked(model, pictures) -> None:
    plain = ids_of(model, pictures)
    edit = model.edit(pictures[0], ASKED, "a lynx", keep=True)
    told = model.backbone.tokenizer.decode(ids_of(model, pictures))
    assert "The answer is a lynx. What is this?" in told
    assert ids_of(model, pictures, "What else?") != plain
    with model.disabled():
        assert ids_of(model, pictures) == plain
    with model.namespace("other"):
        assert ids_of(model, pictures) == plain
    (explanation,) = model.explain(pictures[0], ASKED)
    assert (explanation.edit, explanation.weight) == (edit.edit, 1.0)
    model.revoke(edit.id)
    assert ids_of(model, pictures) == plain
    model.restore(edit.id)
    assert "lynx" in model.backbone.tokenizer.decode(ids_of(model, pictures))


def test_who_answers_tells_which_edits_do(model, pictures) -> None:
    edit = model.edit(pictures[0], ASKED, "a lynx", keep=True)
    told = []
    asked = Questions(pictures=pictures[:2], prompts=[ASKED, "Where?"])
    pool = model.store.pool()
    with model.method.apply(asked, pool, lambda *found: told.append(found)):
        pass
    ((route, near),) = told
    expected, _ = model.method.route(asked, pool)
    assert near.ids == [edit.id]
    assert torch.equal(route.weights, expected.weights)
    assert route.weights.tolist() == [[1.0], [0.0]]


def test_without_a_concern_logits_are_bit_identical(model, pictures) -> None:
    model.edit(pictures[0], ASKED, "a lynx", keep=True)
    query = model.backbone.query([pictures[1]], ["Where?"])
    with torch.no_grad():
        base = model.backbone.logits(query)
        asked = Questions(pictures=[pictures[1]], prompts=["Where?"])
        with model.method.apply(asked, model.store.pool()) as edited:
            assert torch.equal(model.backbone.logits(edited), base)


def test_a_lasting_store_of_another_method_is_refused_and_not_touched(
    repeat, pictures, tmp_path: Path, backbone
) -> None:
    location = tmp_path / "edits.db"
    EditedModel(repeat, location).edit(pictures[0], ASKED, "a lynx", keep=True)
    before = content(location)
    from dataclasses import replace

    with pytest.raises(OtherMethod, match="made by the method 'repeat', not 'liveedit'"):
        SqlStore(location, replace(repeat.identity, method="liveedit"))
    assert content(location) == before
    again = EditedModel(repeat, location)
    assert [edit.target for edit in again.edits] == ["a lynx"]
    assert "lynx" in again.backbone.tokenizer.decode(ids_of(again, pictures))


def test_what_a_method_is_not_able_to_do_is_refused(model, pictures, monkeypatch) -> None:
    with pytest.raises(TextOnlyCorrection, match="'repeat' cannot take a correction without"):
        model.edit_many(
            [
                Correction(image=pictures[0], prompt=ASKED, target="a lynx"),
                Correction(image=None, prompt=ASKED, target="a lynx"),
            ]
        )
    assert model.edits == ()
    made = model.edit(pictures[0], ASKED, "a lynx", keep=True)
    monkeypatch.setattr(type(model.method), "abilities", Abilities(revoke="never"))
    with pytest.raises(MethodCannot, match="cannot take an edit back; correct the answer anew"):
        model.revoke(made.id)
    assert len(model.edits) == 1


def test_a_saved_model_comes_back_with_its_method(plugins, tiny_folder, pictures, tmp_path) -> None:
    model = EditedModel.from_pretrained(tiny_folder, method="repeat", dtype=torch.float32)
    model.edit(pictures[0], ASKED, "a lynx", keep=True)
    saved = model.save_pretrained(tmp_path / "saved")
    assert json.loads((saved / "source.json").read_text())["method"] == "repeat"
    again = EditedModel.from_pretrained(saved, dtype=torch.float32)
    assert again.method.name == "repeat"
    assert again.edits == model.edits


def test_a_method_of_a_package_is_benchmarked(plugins, tiny_folder, tmp_path) -> None:
    out = tmp_path / "run"
    subprocess.run(
        [
            *(sys.executable, "-m", "liveedit", "bench", "run", "--method", "repeat"),
            *("--model", str(tiny_folder), "--limit", "3", "--edits", "1,3", "--dtype", "float32"),
            *("--split", "validation", "--out", str(out), "--json"),
        ],
        check=True,
        capture_output=True,
    )
    summary = json.loads((out / "summary.json").read_text())
    assert summary["method"] == "repeat"
    assert summary["config"] == {"form": "The answer is {target}. {question}"}
    records = [json.loads(line) for line in (out / "records-3.jsonl").open()]
    own = {(r["case"], r["metric"]): r["own"] for r in records}
    assert all(own[case, "rel"] == 1.0 for case in range(3))
    assert all(own[case, "t_gen"] == 0.0 for case in range(3))
    kept = [r for r in records if r["metric"] == "ci"]
    assert all(r["exact"] and r["accuracy"] == 1.0 for r in kept)
    assert "text_rel" not in {r["metric"] for r in records if r["own"]}
