"""What the model would not follow is not put in force, unless its owner says so."""

from dataclasses import replace

import pytest
import torch

from liveedit.correction import Correction
from liveedit.editor import EditedModel
from liveedit.errors import (
    BadImage,
    ContextTooLong,
    ControlTokenInText,
    TargetNotReached,
    TargetTooLong,
)
from liveedit.methods.liveedit.config import LiveEditConfig
from tests.editor.models import base_logits, with_config

ASKED, TARGET = "What is this?", "a violet"


@pytest.fixture
def helpless(model: EditedModel) -> EditedModel:
    """A model whose experts are too weak, and are not refined."""
    model.method.network.generator.v_gain.data.fill_(0.0)
    return with_config(model, LiveEditConfig(refine_steps=0))


def test_it_is_refused_with_the_answer_that_the_model_would_give(helpless, pictures) -> None:
    before = base_logits(helpless, pictures)
    with pytest.raises(TargetNotReached, match=r"nothing was written.*keep=True") as refused:
        helpless.edit(pictures[0], ASKED, TARGET)
    (outcome,) = refused.value.outcomes
    said = helpless.generate(pictures[0], ASKED, max_new_tokens=40)
    assert outcome.answer
    assert said.startswith(outcome.answer)
    assert helpless.edits == ()
    assert helpless.store.revision == 0
    assert torch.equal(base_logits(helpless, pictures), before)


def test_its_owner_may_keep_it_and_a_preview_only_tells(helpless, pictures) -> None:
    preview = helpless.edit(pictures[0], ASKED, TARGET, preview=True)
    assert (preview.reached, preview.refused) == (False, False)
    assert helpless.edits == ()
    kept = helpless.edit(pictures[0], ASKED, TARGET, keep=True)
    assert not kept.reached
    assert preview.answer
    assert helpless.edits == (kept.edit,)


def test_of_many_all_are_written_or_none_or_the_rest(model, helpless, pictures) -> None:
    strong = with_config(model, LiveEditConfig(supersede="never"))
    corrections = [
        Correction(image=picture, prompt=ASKED, target=target)
        for picture, target in zip(pictures, (TARGET, "a rose", "nobody"), strict=True)
    ]
    with pytest.raises(TargetNotReached, match="and 2 more"):
        helpless.edit_many(corrections)
    outcomes = helpless.edit_many(corrections, skip_unreached=True)
    assert [one.refused for one in outcomes] == [True] * 3
    assert helpless.store.revision == 0
    written = strong.edit_many(corrections, skip_unreached=True, batch=2)
    kept = [one for one in written if not one.refused]
    assert [edit.id for edit in strong.edits] == [one.id for one in kept]
    for correction, one in zip(corrections, written, strict=True):
        answer = strong.generate(correction.image, correction.prompt, max_new_tokens=8)
        assert one.refused or answer == correction.target
    with pytest.raises(ValueError, match="one of the two"):
        strong.edit_many(corrections, keep=True, skip_unreached=True)


def test_what_is_left_out_takes_nothing_with_it(model, pictures, monkeypatch) -> None:
    """The verdict of the second is turned around: the first and the third stay, and answer."""
    corrections = [
        Correction(image=None, prompt=prompt, target=target)
        for prompt, target in (("Who?", "a king"), ("Where?", "in Rome"), ("Why?", "nobody"))
    ]
    generate = model.backbone.generate

    def unwilling(query, **options):
        answers = generate(query, **options)
        return ["no" if answer.strip() == "in Rome" else answer for answer in answers]

    monkeypatch.setattr(type(model.backbone), "changes_scores", True)
    monkeypatch.setattr(model.backbone, "generate", unwilling)
    outcomes = model.edit_many(corrections, skip_unreached=True)
    assert [(one.refused, one.answer) for one in outcomes] == [
        (False, None), (True, "no"), (False, None),
    ]  # fmt: skip
    assert [edit.target for edit in model.edits] == ["a king", "nobody"]
    assert model.store.revision == 1


def test_what_is_reached_is_looked_at_again_beside_what_is_not(
    model, pictures, monkeypatch
) -> None:
    """Edits that came behind may have disturbed it."""
    corrections = [
        Correction(image=None, prompt="Who?", target="a king"),
        Correction(image=pictures[0], prompt=ASKED, target="in Rome"),
    ]
    make, reaches, asked = model.method.edit, model.method.reaches, []

    def doubted(edits, some, store, supersede):
        new = make(edits, some, store, supersede)
        outcomes = [replace(one, reached=one.edit.target != "in Rome") for one in new.outcomes]
        return replace(new, outcomes=outcomes)

    def spied(questions, pool):
        asked.extend(questions.targets)
        return reaches(questions, pool)

    monkeypatch.setattr(model.method, "edit", doubted)
    monkeypatch.setattr(model.method, "reaches", spied)
    outcomes = model.edit_many(corrections, batch=1)
    assert asked == ["a king", "in Rome"]
    assert all(one.reached for one in outcomes)  # the second was asked, and says its target


def test_targets_of_many_tokens_have_a_slot_for_each(model, pictures) -> None:
    target = "a violet and a rose and a king in Rome, and nobody made it of wood"
    made = model.edit(pictures[0], ASKED, target)
    tokens = len(model.backbone.target_ids(target))
    assert tokens > model.method.network.generator.rank
    assert model.generate(pictures[0], ASKED, max_new_tokens=tokens + 8) == target
    assert [one.shape[0] for one in model.store.pool().take(None)["u"]] == [tokens]
    assert made.steps > 0
    short = model.edit(None, ASKED, TARGET)
    u = model.store.pool().take(torch.tensor([model.store.row(short.id)]))["u"][0]
    assert u.shape[0] == len(model.backbone.target_ids(TARGET))
    assert u.dtype == torch.float16


def test_wordings_of_people_are_answered_and_kept(model, pictures) -> None:
    others = ["Can you say what it is?", "name of the thing"]
    made = model.edit(pictures[0], ASKED, TARGET, rephrasings=others)
    assert made.edit.rephrasings == tuple(others)
    assert model.store.get(made.id).rephrasings == tuple(others)
    for wording in others:
        assert model.generate(pictures[0], wording, max_new_tokens=8) == TARGET
    with pytest.raises(TypeError, match="list of texts"):
        model.edit(pictures[0], ASKED, TARGET, rephrasings="What?")
    with pytest.raises(ControlTokenInText):
        model.edit(pictures[0], ASKED, TARGET, rephrasings=["<image> what"])


def test_a_correction_may_be_about_several_pictures(model, pictures) -> None:
    both = pictures[:2]
    made = model.edit(both, "Which is larger?", "in Rome")
    assert model.generate([both], ["Which is larger?"], max_new_tokens=8) == ["in Rome"]
    assert made.edit.image not in (None, model.edit(pictures[0], ASKED, TARGET).edit.image)
    with pytest.raises(BadImage, match="give 16 or fewer"):
        model.edit([pictures[0]] * 17, ASKED, TARGET)


def test_what_is_too_long_is_refused_before_any_work(model, pictures, monkeypatch) -> None:
    long = "a rose and " * 400
    with pytest.raises(TargetTooLong, match="shorten it to 1000"):
        model.edit(pictures[0], ASKED, long)
    assert model.backbone.context == model.backbone.model.config.text_config.max_position_embeddings
    monkeypatch.setattr(type(model.backbone), "context", 20)
    with pytest.raises(ContextTooLong, match=r"have \d+ tokens, and the model takes 20; shorten"):
        model.generate(pictures[0], "a rose and " * 10)
    with pytest.raises(ContextTooLong):
        model.edit(pictures[0], ASKED, "a rose and " * 10)
    assert model.edits == ()
