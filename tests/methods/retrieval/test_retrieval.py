"""The nearest correction is put before the question."""

import threading
from pathlib import Path

import pytest
import torch

from liveedit.backbones.picture_features import encode_pictures
from liveedit.backbones.query import Questions
from liveedit.correction import Correction
from liveedit.editor import EditedModel
from liveedit.errors import BackboneMismatch, BadCheckpoint
from liveedit.methods.retrieval.config import RetrievalConfig
from liveedit.methods.retrieval.method import Retrieval
from liveedit.methods.shared.memory.calibrated import CONFIG_FILE
from liveedit.methods.shared.memory.thresholds import Compared, best_thresholds, found
from liveedit.methods.shared.sentence_encoder import encode_questions
from liveedit.methods.shared.training.examples import Example
from tests.backbones.families import tiny

ASKED, AGAIN, OTHER = "What animal is this?", "Which animal is it?", "Where was it taken?"
FACT, FACT_AGAIN = "Who founded Brightwater?", "Who is the founder of Brightwater?"


@pytest.fixture(scope="module")
def folder(backbone, pictures, tmp_path_factory) -> Path:
    examples = [
        Example(
            correction=Correction(image=picture, prompt=ASKED, target="a lynx"),
            concerned=[(picture, AGAIN)],
            unconcerned=[(picture, OTHER)],
        )
        for picture in pictures[:2]
    ] + [
        Example(
            correction=Correction(image=None, prompt=FACT, target="Maria"),
            concerned=[(None, FACT_AGAIN)],
            unconcerned=[(None, "When was Rome founded?")],
        )
    ]
    return Retrieval.prepare(backbone, tmp_path_factory.mktemp("prepared"), examples=examples)


@pytest.fixture
def model(backbone, folder) -> EditedModel:
    model = EditedModel(Retrieval.load(backbone, folder))
    model.edit(pictures_of(backbone)[0], ASKED, "a lynx", keep=True)
    model.edit(None, FACT, "Maria", keep=True)
    return model


def pictures_of(backbone):
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    return [
        Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)).resize((160, 120))
        for shape in ((3, 4, 3), (5, 5, 3))
    ]


def told(model: EditedModel, picture, question: str) -> str:
    asked = Questions(pictures=[picture], prompts=[question])
    with model.method.apply(asked, model._pool()) as query:
        return model.backbone.tokenizer.decode(query.input_ids[0])


def test_the_right_correction_is_put_before_the_question(model, pictures) -> None:
    known = f"Known about this picture: {ASKED} a lynx. "
    assert known + AGAIN in told(model, pictures[0], AGAIN)
    assert "Known" not in told(model, pictures[0], OTHER)
    assert "Known" not in told(model, pictures[1], AGAIN)
    assert "Known" not in told(model, None, ASKED)
    assert f"Known: {FACT} Maria. {FACT_AGAIN}" in told(model, None, FACT_AGAIN)
    assert "Known" not in told(model, pictures[0], FACT)


def test_where_nothing_is_in_force_the_question_is_asked_as_it_is(backbone, folder, pictures):
    empty = EditedModel(Retrieval.load(backbone, folder))
    assert "Known" not in told(empty, pictures[0], ASKED)
    asked = Questions(pictures=[pictures[0], None], prompts=[ASKED, FACT])
    assert empty.method.route(asked, empty._pool())[0].weights.shape == (2, 0)


def test_keys_equal_slow_ones(model, backbone, pictures) -> None:
    means = encode_pictures(backbone, [pictures[0], None, [pictures[0], pictures[1]]])
    features = backbone.image_features(pictures[:2])
    torch.testing.assert_close(means[0], features[0].float().mean(0))
    torch.testing.assert_close(means[2], torch.cat(features).float().mean(0))
    assert not means[1].any()
    questions = encode_questions([ASKED, AGAIN, OTHER])
    torch.testing.assert_close(questions.norm(dim=1), torch.ones(3))
    assert questions[0] @ questions[1] > questions[0] @ questions[2]


def test_a_contradiction_supersedes_and_revoking_brings_back(model, pictures) -> None:
    newer = model.edit(pictures[0], ASKED, "a cat", keep=True)
    assert [one.kind for one in newer.conflicts] == ["contradicts"]
    assert [edit.target for edit in model.edits] == ["Maria", "a cat"]
    assert "a cat" in told(model, pictures[0], AGAIN)
    model.revoke(newer.id)
    assert "a lynx" in told(model, pictures[0], AGAIN)
    again = model.edit(pictures[0], ASKED, "A  LYNX", keep=True)
    assert [one.kind for one in again.conflicts] == ["repeats"]
    with model.namespace("shop"):
        assert model.edit(pictures[0], ASKED, "a cat", keep=True).conflicts == ()


def test_within_one_batch_the_later_wins(backbone, folder, pictures) -> None:
    model = EditedModel(Retrieval.load(backbone, folder))
    targets = ("a lynx", "a cat", "a lynx")
    model.edit_many(
        [Correction(image=pictures[0], prompt=ASKED, target=t) for t in targets], keep=True
    )
    assert [edit.target for edit in model.edits][-1] == "a lynx"
    assert len({edit.target for edit in model.edits}) == 1
    plain = EditedModel(Retrieval.load(backbone, folder, RetrievalConfig(supersede="never")))
    plain.edit_many(
        [Correction(image=pictures[0], prompt=ASKED, target=t) for t in targets], keep=True
    )
    assert len(plain.edits) == 3


def test_a_lasting_store_keeps_it(model, backbone, folder, pictures, location) -> None:
    lasting = EditedModel(Retrieval.load(backbone, folder), location)
    lasting.edit(pictures[0], ASKED, "a lynx", keep=True)
    lasting.edit(None, FACT, "Maria", keep=True)
    again = EditedModel(Retrieval.load(backbone, folder), location)
    assert told(again, pictures[0], AGAIN) == told(model, pictures[0], AGAIN)
    assert told(again, None, FACT_AGAIN) == told(model, None, FACT_AGAIN)


def test_an_export_is_taken_up_elsewhere(backbone, folder, pictures, tmp_path) -> None:
    from liveedit.store.export import export_edits, identity_of_export, import_edits
    from liveedit.store.log import EditLog

    one = EditedModel(Retrieval.load(backbone, folder), tmp_path / "one.db")
    one.edit(pictures[0], ASKED, "a lynx", keep=True)
    export_edits(one.store.log, tmp_path / "out")
    identity = identity_of_export(tmp_path / "out")
    assert identity == one.method.identity
    assert import_edits(EditLog(tmp_path / "two.db", identity), tmp_path / "out") == (1, 0)
    two = EditedModel(Retrieval.load(backbone, folder), tmp_path / "two.db")
    assert "a lynx" in told(two, pictures[0], AGAIN)


def test_a_batch_answers_as_its_rows_alone(model, pictures) -> None:
    images, prompts = [pictures[0], None, pictures[1]], [AGAIN, FACT_AGAIN, AGAIN]
    together = model.generate(images, prompts, max_new_tokens=5)
    alone = [
        model.generate(image, prompt, max_new_tokens=5)
        for image, prompt in zip(images, prompts, strict=True)
    ]
    assert together == alone


def test_threads_of_different_namespaces_never_meet(model, pictures) -> None:
    for space in ("a", "b"):
        with model.namespace(space):
            model.edit(pictures[0], ASKED, f"an animal of {space}", keep=True)
    found: dict[str, set[str]] = {}

    def ask(space: str) -> None:
        for _ in range(6):
            with model.namespace(space):
                found.setdefault(space, set()).add(told(model, pictures[0], AGAIN))

    threads = [threading.Thread(target=ask, args=(space,)) for space in ("a", "b", "", "nothing")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {space: len(texts) for space, texts in found.items()} == dict.fromkeys(found, 1)
    (a,), (b,), (default,), (nothing,) = (found[one] for one in ("a", "b", "", "nothing"))
    assert "an animal of a" in a
    assert "an animal of b" in b
    assert "a lynx" in default
    assert "Known" not in nothing


def test_thresholds_find_what_they_should() -> None:
    compared = Compared(
        vision=torch.tensor([[0.9, 0.2], [0.3, 0.8], [0.9, 0.2], [0.4, 0.4]]),
        prompt=torch.tensor([[0.7, 0.7], [0.7, 0.7], [0.3, 0.3], [0.9, 0.9]]),
        own=torch.tensor([0.0, 1.0, -1.0, -1.0]),
    )
    vision, prompt, measure = best_thresholds(compared)
    assert measure == 1.0
    passes = (compared.vision > vision) & (compared.prompt > prompt)
    assert found(compared.vision, compared.prompt, passes).tolist() == [0, 1, -1, -1]


def test_what_it_needs_is_asked_for(backbone, folder, tmp_path) -> None:
    with pytest.raises(BadCheckpoint, match="liveedit train --method retrieval --model"):
        Retrieval.load(backbone)
    with pytest.raises(BadCheckpoint, match="cannot be read"):
        Retrieval.load(backbone, tmp_path)
    with pytest.raises(BackboneMismatch):
        Retrieval.load(tiny("llava_next"), folder)
    with pytest.raises(ValueError, match="with pictures"):
        Retrieval.prepare(backbone, tmp_path, examples=[])
    assert (folder / CONFIG_FILE).is_file()
