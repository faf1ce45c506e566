"""What happens when a correction is made: conflicts, previews, refinement."""

import pytest
import torch

from liveedit.correction import Correction
from liveedit.editor import EditedModel
from liveedit.methods.liveedit.around import _NEIGHBOURS, _TEXT_NEIGHBOURS
from liveedit.methods.liveedit.config import LiveEditConfig
from liveedit.methods.liveedit.method import LiveEdit
from tests.editor.models import PROMPTS, all_logits, with_config


@pytest.mark.parametrize("image", [None, 0])
def test_a_correction_of_a_correction_wins_and_revoking_it_brings_the_other_back(
    model: EditedModel, pictures, image
) -> None:
    picture = None if image is None else pictures[image]
    targets, logits = ["a violet", "a rose", "a tulip"], []
    for target in targets:
        made = model.edit(picture, "What is this?", target)
        assert [edit.target for edit in model.edits] == [target]
        logits.append(all_logits(model, pictures))
    assert [conflict.edit.target for conflict in made.conflicts] == ["a rose"]
    assert made.conflicts[0].kind == "contradicts"
    for target, before in zip(targets[-2::-1], logits[-2::-1], strict=True):
        model.revoke(model.edits[0].id)
        assert [edit.target for edit in model.edits] == [target]
        assert torch.equal(all_logits(model, pictures), before)


def test_the_same_question_with_and_without_a_picture_is_no_conflict(edited: EditedModel) -> None:
    made = edited.edit(None, "What is this?", "a rose")
    assert made.conflicts == ()
    assert len(edited.edits) == 3


def test_what_one_in_the_middle_replaced_stays_replaced(model: EditedModel, pictures) -> None:
    first, second, third = model.edit_many(
        [
            Correction(image=pictures[0], prompt="What is this?", target=target)
            for target in ("a violet", "a rose", "a tulip")
        ]
    )
    assert set(third.edit.supersedes) == {second.id, first.id}
    model.revoke(second.id)
    assert [edit.id for edit in model.edits] == [third.id]
    model.revoke(third.id)
    assert [edit.id for edit in model.edits] == [first.id]


def test_a_repetition_is_told_and_replaces_nothing(edited: EditedModel, pictures) -> None:
    made = edited.edit(pictures[0], "What is this?", "A  violet")
    assert [conflict.kind for conflict in made.conflicts] == ["repeats"]
    assert len(edited.edits) == 3


def test_without_supersede_both_stay(model: EditedModel, pictures) -> None:
    plain = EditedModel(
        LiveEdit(model.backbone, model.method.network, LiveEditConfig(supersede="never"))
    )
    for target in ("a violet", "a rose"):
        made = plain.edit(pictures[0], "What is this?", target)
    assert [conflict.kind for conflict in made.conflicts] == ["contradicts"]
    assert len(plain.edits) == 2


def test_a_preview_says_what_an_edit_would_and_writes_nothing(
    edited: EditedModel, pictures
) -> None:
    before, logits = edited.edits, all_logits(edited, pictures)
    preview = edited.edit(pictures[0], "What is this?", "a rose", preview=True)
    assert edited.edits == before
    assert torch.equal(all_logits(edited, pictures), logits)
    made = edited.edit(pictures[0], "What is this?", "a rose")
    assert (preview.reached, preview.steps) == (made.reached, made.steps)
    assert preview.conflicts == made.conflicts


def test_refinement_reaches_what_one_pass_does_not(model: EditedModel, pictures) -> None:
    corrections = [
        Correction(image=picture, prompt=prompt, target=target)
        for picture, prompt, target in zip(
            [*pictures, None],
            [*PROMPTS, "Who is it?"],
            ("a violet", "in Rome", "nobody", "a king"),
            strict=True,
        )
    ]
    model.method.network.generator.v_gain.data.fill_(0.1)
    once = EditedModel(
        LiveEdit(model.backbone, model.method.network, LiveEditConfig(refine_steps=0))
    )
    assert not any(made.reached for made in once.edit_many(corrections, keep=True))
    patient = LiveEditConfig(refine_steps=60, refine_rate=0.1)
    refined = with_config(model, patient)
    outcomes = refined.edit_many(corrections)
    assert all(made.reached and 0 < made.steps <= 60 for made in outcomes)
    for correction in corrections:
        assert refined.generate(correction.image, correction.prompt) == correction.target


@pytest.mark.parametrize(("image", "questions"), [(0, _NEIGHBOURS), (None, _TEXT_NEIGHBOURS)])
def test_refinement_keeps_neighbours_where_it_is_told_to(
    model: EditedModel, pictures, image, questions
) -> None:
    model.method.network.generator.v_gain.data.fill_(0.1)
    picture = None if image is None else pictures[image]
    neighbours = [(picture, question) for question in questions]
    query = model.backbone.query(*zip(*neighbours, strict=True))

    def moved(locality: float) -> float:
        config = LiveEditConfig(refine_steps=40, refine_rate=0.1, refine_locality=locality)
        edited = with_config(model, config)
        assert edited.edit(picture, "What is this?", "a violet").reached
        with torch.no_grad():
            before = model.backbone.model(**query.model_inputs()).logits[:, -1]
            with edited.method.applied(query, edited._pool()):
                after = model.backbone.model(**query.model_inputs()).logits[:, -1]
        return float((after.softmax(-1) - before.softmax(-1)).abs().sum())

    assert moved(10.0) < 0.7 * moved(0.0)


def test_targets_are_refined_for_other_ways_to_ask_where_it_is_told_to(
    model: EditedModel, pictures
) -> None:
    """Targets of so many tokens alone; what is asked of them is harder than their own question."""
    model.method.network.generator.v_gain.data.fill_(0.3)
    correction = Correction(image=pictures[0], prompt="What is this?", target="a violet")
    tokens = len(model.backbone.target_ids("a violet"))
    steps = {
        broad: with_config(model, LiveEditConfig(refine_broad=broad))
        .edit_many([correction])[0]
        .steps
        for broad in (None, tokens, tokens - 1)
    }
    assert steps[None] == steps[tokens]
    assert steps[tokens - 1] != steps[tokens]


def test_methods_that_share_an_editor_do_not_switch_each_other(
    model: EditedModel, pictures
) -> None:
    """Whether words are compared is each method's own."""
    with_words, without = (
        with_config(model, LiveEditConfig(sentence_encoder=one)) for one in (True, False)
    )
    scores = []
    for one in (with_words, without):
        one.edit(pictures[0], "What is this?", "a violet", keep=True)
        (told,) = one.explain(pictures[0], "What is this?")
        scores.append(told.prompt)
    assert scores[0] == pytest.approx(scores[1] + 3, abs=1e-3)
