"""The pocket VLM as built, with the shipped editor: the real parts working together."""

from pathlib import Path

import pytest
import torch

from liveedit.backbones.registry import load_backbone
from liveedit.benchmark.metrics import same_answer
from liveedit.data.easy_vqa import evenly
from liveedit.data.emoji_edit.corrections import validation_set
from liveedit.data.emoji_edit.facts import facts_of
from liveedit.data.emoji_edit.knowledge import text_validation_set
from liveedit.data.emoji_edit.scene import render
from liveedit.data.photo_edit.folder import read_photo_folder
from liveedit.data.resaving import RESAVED
from liveedit.editor import EditedModel
from liveedit.errors import BadAnnotations
from liveedit.methods.liveedit.method import LiveEdit
from liveedit.pocket.alignment.pictures import pixels
from liveedit.pocket.evaluation import photographed

PHOTOGRAPHS = Path(__file__).parents[3] / "shared/data/photos"


@pytest.fixture(scope="module")
def model(pocket_folder) -> EditedModel:
    """In float32, where the order of sums matters least."""
    backbone = load_backbone("pocket", dtype=torch.float32)
    return EditedModel(LiveEdit.load(backbone))


def test_a_batch_generates_the_tokens_of_its_rows_alone(model: EditedModel) -> None:
    cases = validation_set(6)
    edits = [model.edit(render(case.scene), case.question.text, case.target) for case in cases[:3]]
    images = [render(case.scene) for case in cases] + [None]
    prompts = [case.rephrase.text for case in cases] + ["What is the capital of France?"]
    together = model.generate(images, prompts, max_new_tokens=12)
    alone = [
        model.generate([image], [prompt], max_new_tokens=12)[0]
        for image, prompt in zip(images, prompts, strict=True)
    ]
    assert together == alone
    assert "Paris" in together[-1]
    for edit in edits:
        model.revoke(edit.id)


def test_the_main_job(model: EditedModel) -> None:
    cases = validation_set(20)
    images = [render(case.scene) for case in cases]
    prompts = [case.question.text for case in cases]
    before = model.generate(images, prompts)
    edits = [
        model.edit(image, prompt, case.target)
        for image, prompt, case in zip(images, prompts, cases, strict=True)
    ]
    after = model.generate(images, prompts)
    right = sum(answer == case.target for answer, case in zip(after, cases, strict=True))
    assert right >= 16
    for edit in edits:
        model.revoke(edit.id)
    assert model.generate(images, prompts) == before


def test_text_only_corrections(model: EditedModel) -> None:
    """They reach their target, also in other words, and concern nothing else."""
    cases = text_validation_set()[:20]
    facts = [fact.question for fact in facts_of("validation")[:10]]
    others = [case.other_question for case in cases] + facts
    pictured = validation_set(5)
    images = [render(case.scene) for case in pictured]
    prompts = [case.question.text for case in pictured]

    def say(questions: list[str]) -> list[str]:
        return model.generate([None] * len(questions), questions, max_new_tokens=16)

    before, seen = say(others), model.generate(images, prompts)
    edits = [model.edit(None, case.question, case.target) for case in cases]
    for questions, enough in (
        ([case.question for case in cases], 16),
        ([case.rephrase for case in cases], 10),
    ):
        answers = say(questions)
        assert sum(a == case.target for a, case in zip(answers, cases, strict=True)) >= enough
    kept = sum(one == other for one, other in zip(say(others), before, strict=True))
    assert kept >= 0.8 * len(others)
    assert model.generate(images, prompts) == seen
    for edit in edits:
        model.revoke(edit.id)
    assert say(others) == before


def test_it_knows_the_facts_of_the_benchmark(model: EditedModel) -> None:
    facts = facts_of("evaluation")[::3]
    said = model.generate([None] * len(facts), [f.question for f in facts], max_new_tokens=24)
    known = [f.answer.lower() in answer.lower() for f, answer in zip(facts, said, strict=True)]
    assert sum(known) >= 0.9 * len(facts)


def test_drawings_are_never_taken_for_photographs(model: EditedModel) -> None:
    tower = model.backbone.model.model.vision_tower
    shown = [render(case.scene) for case in validation_set(24)]
    saved = [change(picture) for picture in shown[:8] for change in RESAVED.values()]
    with torch.no_grad():
        cells = tower.backbone.cells(pixels([*shown, *saved], tower.config.image_size))
        pooled = tower.photographs.pooled(cells)
    assert not tower.photographs.are_photographs(pooled).any()


def test_photographs_are_named(model: EditedModel) -> None:
    """Of evaluation classes; with any of the class's names."""
    try:
        folder = read_photo_folder(PHOTOGRAPHS)
    except BadAnnotations as absent:
        pytest.skip(f"no photographs here: {absent}")
    asked = evenly(photographed(folder), 60)
    right = 0
    for file, question, names in asked:
        (answer,) = model.generate([file], [question], max_new_tokens=12)
        right += any(same_answer(answer, name) for name in names)
    assert right >= 36


def test_logits_without_edits_and_after_revoking_are_bit_identical(model: EditedModel) -> None:
    case = validation_set(1)[0]
    image = render(case.scene)
    query = model.backbone.query([image, None], [case.question.text, "Who are you?"], ["a", "b"])

    def logits() -> torch.Tensor:
        with torch.no_grad(), model.method.applied(query, model._pool()):
            return model.backbone.model(**query.model_inputs()).logits

    with torch.no_grad():
        base = model.backbone.model(**query.model_inputs()).logits
    assert torch.equal(logits(), base)
    edit = model.edit(image, case.question.text, case.target)
    assert not torch.equal(logits(), base)
    assert torch.equal(logits()[1], base[1])  # text only
    model.revoke(edit.id)
    assert torch.equal(logits(), base)
