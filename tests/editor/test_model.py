import numpy as np
import pytest
import torch

from liveedit.correction import Correction, pictures_identity
from liveedit.editor import EditedModel
from liveedit.errors import (
    BadImage,
    ControlTokenInText,
    EmptyText,
    TextOnlyCorrection,
    UnknownEdit,
    UnsupportedGeneration,
)
from liveedit.methods.liveedit.config import EditorConfig
from liveedit.methods.liveedit.method import LiveEdit
from liveedit.methods.liveedit.network import EditorNetwork
from tests.editor.models import PROMPTS, all_logits, base_logits


def test_an_edit_is_felt_by_pictures_and_not_by_text(edited: EditedModel, pictures) -> None:
    base, changed = base_logits(edited, pictures), all_logits(edited, pictures)
    assert torch.equal(base[0], changed[0])
    assert not torch.allclose(base[1:], changed[1:], atol=1e-2)


def test_a_text_only_edit_is_felt_by_text_and_not_by_pictures(model: EditedModel, pictures) -> None:
    base = base_logits(model, pictures)
    made = model.edit(None, PROMPTS[0], "a violet")
    changed = all_logits(model, pictures)
    assert made.edit.image is None
    assert made.reached
    assert model.generate([None], [PROMPTS[0]]) == ["a violet"]
    assert not torch.allclose(base[0], changed[0], atol=1e-2)
    assert torch.equal(base[1:], changed[1:])
    model.revoke(made.id)
    assert torch.equal(base, all_logits(model, pictures))


def test_both_kinds_together_answer_as_each_alone(edited: EditedModel, pictures) -> None:
    seen = all_logits(edited, pictures)
    made = edited.edit(None, PROMPTS[0], "a rose")
    with edited.only([made.id]):
        told = all_logits(edited, pictures)
    together = all_logits(edited, pictures)
    torch.testing.assert_close(together[0], told[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(together[1:], seen[1:], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("image", [None, 0])
def test_a_query_that_no_edit_concerns_is_bit_identical(
    model: EditedModel, pictures, image
) -> None:
    model.edit(None if image is None else pictures[image], PROMPTS[0], "a violet")
    base = base_logits(model, pictures)
    assert not torch.equal(base, all_logits(model, pictures))
    router = model.method.network.router
    (router.text_bias if image is None else router.prompt_bias).data.fill_(-100)
    assert torch.equal(base, all_logits(model, pictures))


def test_without_edits_logits_are_bit_identical(model: EditedModel, pictures) -> None:
    assert torch.equal(base_logits(model, pictures), all_logits(model, pictures))


def test_after_revoking_everything_logits_are_bit_identical(edited: EditedModel, pictures) -> None:
    for edit in edited.edits:
        edited.revoke(edit.id)
    assert edited.edits == ()
    assert torch.equal(base_logits(edited, pictures), all_logits(edited, pictures))


def test_disabled_is_bit_identical_and_ends(edited: EditedModel, pictures) -> None:
    changed = all_logits(edited, pictures)
    with edited.disabled():
        assert torch.equal(base_logits(edited, pictures), all_logits(edited, pictures))
    assert torch.equal(changed, all_logits(edited, pictures))


def test_only_some_edits_equals_a_model_with_only_those(edited: EditedModel, pictures) -> None:
    first, second = edited.edits
    with edited.only([second.id]):
        scoped = all_logits(edited, pictures)
    assert not torch.equal(scoped, all_logits(edited, pictures))
    edited.revoke(first.id)
    torch.testing.assert_close(scoped, all_logits(edited, pictures))


def test_only_ends_after_an_exception(edited: EditedModel, pictures) -> None:
    changed = all_logits(edited, pictures)
    with pytest.raises(RuntimeError, match="on purpose"), edited.disabled():
        raise RuntimeError("on purpose")
    assert torch.equal(changed, all_logits(edited, pictures))


@pytest.mark.parametrize("told", [False, True])
def test_a_batch_generates_what_its_rows_generate_alone(
    edited: EditedModel, pictures, told
) -> None:
    if told:
        edited.edit(None, PROMPTS[1], "a rose")
    images = [pictures[0], None, pictures[1], pictures[2]]
    prompts = [*PROMPTS, "How many?"]
    together = edited.generate(images, prompts, max_new_tokens=8)
    alone = [
        edited.generate([image], [prompt], max_new_tokens=8)[0]
        for image, prompt in zip(images, prompts, strict=True)
    ]
    with edited.disabled():
        unedited = edited.generate(images, prompts, max_new_tokens=8)
    assert together == alone
    assert (together[1] != unedited[1]) == told
    assert sum(one != other for one, other in zip(together, unedited, strict=True)) >= 2


def test_beams_and_cacheless_decoding_keep_the_route(edited: EditedModel, pictures) -> None:
    cached = edited.generate(pictures, PROMPTS, max_new_tokens=6)
    assert edited.generate(pictures, PROMPTS, max_new_tokens=6, use_cache=False) == cached
    beams = edited.generate(pictures, PROMPTS, max_new_tokens=6, num_beams=3)
    with edited.disabled():
        assert edited.generate(pictures, PROMPTS, max_new_tokens=6, num_beams=3) != beams


def test_target_logits_equal_a_whole_pass(edited: EditedModel, pictures) -> None:
    query = edited.backbone.query(pictures, PROMPTS, ["one", "two of them", "three"])
    short = edited.method.target_logits(query, edited.backbone.states(query), edited.store.pool())
    with torch.no_grad(), edited.method.applied(query, edited._pool()):
        inputs = query.model_inputs() | {"position_ids": query.position_ids}
        whole = edited.backbone.model(**inputs).logits[query.spans.predicts]
    torch.testing.assert_close(short, whole, atol=1e-4, rtol=1e-4)


def test_many_edits_at_once_equal_one_after_the_other(edited: EditedModel, pictures) -> None:
    edited.edit(None, "Who is it?", "a king")
    one_by_one = edited.store.pool()
    batched = EditedModel(LiveEdit(edited.backbone, edited.method.network))
    batched.edit_many(
        [
            Correction(image=pictures[0], prompt="What is this?", target="a violet"),
            Correction(image=pictures[1], prompt="Where is it?", target="in Rome"),
            Correction(image=None, prompt="Who is it?", target="a king"),
        ]
    )
    pool = batched.store.pool()
    alone, together = one_by_one.take(None)["u"], pool.take(None)["u"]
    torch.testing.assert_close(alone, together, atol=1e-4, rtol=1e-4)
    assert torch.equal(one_by_one.keys.sees, pool.keys.sees)
    for name, alone in one_by_one.keys.whole.vectors.items():
        together = pool.keys.whole.vectors[name]
        torch.testing.assert_close(alone, together, atol=1e-5, rtol=1e-4)


def test_explain_names_every_edit_in_force_and_weighs_as_the_route_does(
    edited: EditedModel, pictures
) -> None:
    edited.method.network.router.prompt_bias.data.fill_(-8)  # between what the two questions reach
    found = edited.explain(pictures[0], "What is this?")
    assert {one.edit.id for one in found} == {edit.id for edit in edited.edits}
    assert found[0].edit.target == "a violet"
    assert [one.passes for one in found] == [True, False]
    assert all(one.passes == (one.vision > one.threshold and one.prompt > 0) for one in found)
    assert 0 < sum(one.weight for one in found) <= 1
    assert edited.explain(pictures[0], "What is this?", most=1) == found[:1]
    assert [one.weight for one in edited.explain(None, "What is this?")] == [0, 0]


def test_explain_tells_text_from_pictures(edited: EditedModel, pictures) -> None:
    made = edited.edit(None, "What is this?", "a rose")
    told, *others = edited.explain(None, "What is this?")
    assert told.edit == made.edit
    assert told.passes
    assert told.weight > 0
    assert [(one.passes, one.weight) for one in others] == [(False, 0), (False, 0)]
    seen = {one.edit.id: one.weight for one in edited.explain(pictures[0], "What is this?")}
    assert seen.pop(made.id) == 0
    of_picture = [one.image == pictures_identity(pictures[0]) for one in edited.edits if one.image]
    assert [weight > 0 for weight in seen.values()] == sorted(of_picture, reverse=True)


@pytest.mark.parametrize(
    ("image", "prompt", "target", "error"),
    [
        ("nowhere.png", "What?", "a", BadImage),
        (b"not a picture", "What?", "a", BadImage),
        (0, "  ", "a", EmptyText),
        (None, "  ", "a", EmptyText),
        (0, "What?", "\n", EmptyText),
        (None, "What?", "\n", EmptyText),
        (0, "What is <image>?", "a", ControlTokenInText),
        (None, "What is <image>?", "a", ControlTokenInText),
        (0, "What?", "a<|im_end|>", ControlTokenInText),
        (None, "What?", "a<|im_end|>", ControlTokenInText),
    ],
)
def test_bad_input_leaves_the_store_as_it_was(
    edited: EditedModel, pictures, image, prompt, target, error
) -> None:
    before, changed = edited.edits, all_logits(edited, pictures)
    with pytest.raises(error):
        edited.edit(pictures[image] if isinstance(image, int) else image, prompt, target)
    assert edited.edits == before
    assert torch.equal(changed, all_logits(edited, pictures))


def test_one_bad_correction_keeps_the_whole_batch_out(edited: EditedModel, pictures) -> None:
    corrections = [
        Correction(image=pictures[0], prompt="What?", target="fine"),
        Correction(image=pictures[0], prompt="What is <image>?", target="not fine"),
    ]
    with pytest.raises(ControlTokenInText):
        edited.edit_many(corrections, batch=1)
    assert len(edited.edits) == 2


def test_without_a_text_router_a_text_only_correction_is_refused(
    model: EditedModel, pictures
) -> None:
    config = EditorConfig(width=32, heads=2, rank=4, text_router=False)
    plain = EditedModel(LiveEdit(model.backbone, EditorNetwork(config, model.backbone.width)))
    corrections = [
        Correction(image=image, prompt="What is this?", target="a violet")
        for image in (pictures[0], None)
    ]
    with pytest.raises(TextOnlyCorrection, match="without a picture; give a picture"):
        plain.edit_many(corrections, batch=1)
    assert plain.edits == ()
    assert plain.store.pool().eligible.shape == (1, 0)
    assert torch.equal(base_logits(plain, pictures), all_logits(plain, pictures))


def test_a_namespace_has_edits_of_its_own(edited: EditedModel, pictures) -> None:
    outside, base = all_logits(edited, pictures), base_logits(edited, pictures)
    with edited.namespace("other"):
        assert torch.equal(all_logits(edited, pictures), base)
        made = edited.edit(pictures[0], "What is this?", "a rose")
        assert made.edit.namespace == "other"
        assert made.conflicts == ()
        found = edited.explain(pictures[0], "What is this?")
        assert [one.edit for one in found] == [made.edit]
        assert not torch.allclose(all_logits(edited, pictures)[1], outside[1], atol=1e-2)
    assert len(edited.edits) == 3
    assert len(edited.explain(pictures[0], "What is this?")) == 2
    torch.testing.assert_close(all_logits(edited, pictures), outside)


def test_a_namespace_ends_after_an_exception(edited: EditedModel, pictures) -> None:
    changed = all_logits(edited, pictures)
    with (
        pytest.raises(RuntimeError, match="on purpose"),
        edited.namespace("other"),
        edited.namespace("and another"),
    ):
        raise RuntimeError("on purpose")
    assert torch.equal(changed, all_logits(edited, pictures))
    assert edited.edit(None, "Why?", "because").edit.namespace == ""


def test_namespaces_made_at_once_equal_models_of_their_own(model: EditedModel, pictures) -> None:
    stated = [  # the same questions everywhere; in b one is corrected twice
        ("a", pictures[0], "What is this?", "a violet"),
        ("b", pictures[0], "What is this?", "a rose"),
        ("a", None, "Who is it?", "a king"),
        ("b", pictures[0], "What is this?", "a tulip"),
        ("b", pictures[1], "Where is it?", "in Rome"),
        ("a", pictures[1], "Where is it?", "at sea"),
    ]
    corrections = [Correction(image=i, prompt=p, target=t) for _, i, p, t in stated]
    names = [name for name, *_ in stated]
    together = model.edit_many(corrections, namespaces=names)
    assert [made.edit.namespace for made in together] == names
    for name in "ab":
        rows = [row for row, other in enumerate(names) if other == name]
        alone = EditedModel(LiveEdit(model.backbone, model.method.network))
        outcomes = alone.edit_many([corrections[row] for row in rows])
        for row, own in zip(rows, outcomes, strict=True):
            made = together[row]
            assert (made.reached, made.steps) == (own.reached, own.steps)
            assert [(one.kind, one.edit.target) for one in made.conflicts] == [
                (one.kind, one.edit.target) for one in own.conflicts
            ]
        with model.namespace(name):
            found = all_logits(model, pictures)
        torch.testing.assert_close(found, all_logits(alone, pictures), atol=1e-3, rtol=1e-3)
        assert not torch.equal(found, base_logits(model, pictures))


@pytest.mark.parametrize("namespaces", [[], ["shop"], ["shop"] * 3])
def test_every_correction_needs_its_namespace(edited: EditedModel, pictures, namespaces) -> None:
    corrections = [Correction(image=pictures[0], prompt="What?", target="this")] * 2
    before = edited.edits
    with pytest.raises(ValueError, match="2 corrections"):
        edited.edit_many(corrections, namespaces=namespaces)
    assert edited.edits == before


def test_unknown_edit(edited: EditedModel) -> None:
    with pytest.raises(UnknownEdit, match="no-such-edit"):
        edited.revoke("no-such-edit")
    with pytest.raises(UnknownEdit), edited.only(["no-such-edit"]):
        pass
    assert len(edited.edits) == 2


def test_one_picture_may_serve_several_questions(edited: EditedModel, pictures) -> None:
    questions = [PROMPTS[0], PROMPTS[2]]
    for form in (pictures[0], np.asarray(pictures[0]), torch.tensor(np.array(pictures[0]))):
        together = edited.generate(form, questions, max_new_tokens=5)
        alone = [edited.generate(pictures[0], one, max_new_tokens=5) for one in questions]
        assert together == alone
    stacked = np.stack([np.asarray(one.resize((64, 64))) for one in pictures[:2]])
    assert len(edited.generate(stacked, questions, max_new_tokens=2)) == 2
    assert edited.generate([], []) == edited.generate(None, []) == []


def test_numbers_that_do_not_fit_are_told(edited: EditedModel, pictures) -> None:
    with pytest.raises(ValueError, match="there are 3 pictures and 2 questions; give one picture"):
        edited.generate(pictures, PROMPTS[:2])
    with pytest.raises(ValueError, match="there are 0 pictures and 1 questions"):
        edited.generate([], PROMPTS[:1])


def test_options_of_generate_that_return_or_need_more(edited: EditedModel, pictures) -> None:
    plain = edited.generate(pictures[0], PROMPTS[0])
    asked = {"return_dict_in_generate": True, "output_scores": True, "max_new_tokens": 5}
    output = edited.generate(pictures[0], PROMPTS[0], **asked)
    assert output.answers == [edited.generate(pictures[0], PROMPTS[0], max_new_tokens=5)]
    assert len(output.scores) == output.sequences.shape[1] - len(
        edited.backbone.query([pictures[0]], PROMPTS[:1]).input_ids[0]
    )
    several = edited.generate(
        pictures[0], PROMPTS[0], num_beams=3, num_return_sequences=2, max_new_tokens=4
    )
    assert len(several) == 2
    first = plain.split()[0]
    assert edited.generate(pictures[0], PROMPTS[0], stop_strings=[first]) == first != plain
    with pytest.raises(UnsupportedGeneration, match="do not pass prompt_lookup_num_tokens"):
        edited.generate(pictures[0], PROMPTS[0], prompt_lookup_num_tokens=3)
