import pytest
import torch
from PIL import Image

from liveedit.backbones.llava import LlavaBackbone
from liveedit.config import EditingConfig, EditorConfig
from liveedit.correction import Correction
from liveedit.editor import EditedModel
from liveedit.errors import BadImage, ControlTokenInText, EmptyText, UnknownEdit
from liveedit.making import _NEIGHBOURS
from liveedit.network import EditorNetwork
from liveedit.representation import measure_scale

PROMPTS = ["What is this?", "Say at some length what there is to be seen in the picture.", "Why?"]


@pytest.fixture
def model(backbone: LlavaBackbone, pictures: list[Image.Image]) -> EditedModel:
    """A model whose untrained editor lets every expert through and makes it felt."""
    torch.manual_seed(1)
    network = EditorNetwork(EditorConfig(width=32, heads=2, rank=4, dropout=0.0), backbone.width)
    query = backbone.query(pictures, PROMPTS)
    network.set_scale(measure_scale(backbone.states(query)[query.attention_mask.bool()]))
    network.router.margin.fill_(-100)
    network.router.prompt_bias.data.fill_(5)
    network.generator.v_gain.data.fill_(20)
    return EditedModel(backbone, network)


@pytest.fixture
def edited(model: EditedModel, pictures: list[Image.Image]) -> EditedModel:
    model.edit(pictures[0], "What is this?", "a violet")
    model.edit(pictures[1], "Where is it?", "in Rome")
    return model


def all_logits(model: EditedModel, pictures: list[Image.Image]) -> torch.Tensor:
    """Logits of a whole pass with the edits in force."""
    query = model.backbone.query([None, *pictures[:2]], PROMPTS)
    with torch.no_grad(), model._edited(query):
        return model.backbone.model(**query.model_inputs()).logits


def base_logits(model: EditedModel, pictures: list[Image.Image]) -> torch.Tensor:
    query = model.backbone.query([None, *pictures[:2]], PROMPTS)
    with torch.no_grad():
        return model.backbone.model(**query.model_inputs()).logits


def test_an_edit_is_felt_by_pictures_and_not_by_text(edited: EditedModel, pictures) -> None:
    base, changed = base_logits(edited, pictures), all_logits(edited, pictures)
    assert torch.equal(base[0], changed[0])
    assert not torch.allclose(base[1:], changed[1:], atol=1e-2)


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


def test_a_batch_generates_what_its_rows_generate_alone(edited: EditedModel, pictures) -> None:
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
    assert together[1] == unedited[1]
    assert sum(one != other for one, other in zip(together, unedited, strict=True)) >= 2


def test_beams_and_cacheless_decoding_keep_the_route(edited: EditedModel, pictures) -> None:
    cached = edited.generate(pictures, PROMPTS, max_new_tokens=6)
    assert edited.generate(pictures, PROMPTS, max_new_tokens=6, use_cache=False) == cached
    beams = edited.generate(pictures, PROMPTS, max_new_tokens=6, num_beams=3)
    with edited.disabled():
        assert edited.generate(pictures, PROMPTS, max_new_tokens=6, num_beams=3) != beams


def test_target_logits_equal_a_whole_pass(edited: EditedModel, pictures) -> None:
    query = edited.backbone.query(pictures, PROMPTS, ["one", "two of them", "three"])
    short = edited.target_logits(query, edited.backbone.states(query))
    with torch.no_grad(), edited._edited(query):
        inputs = query.model_inputs() | {"position_ids": query.position_ids}
        whole = edited.backbone.model(**inputs).logits[query.spans.predicts]
    torch.testing.assert_close(short, whole, atol=1e-4, rtol=1e-4)


def test_many_edits_at_once_equal_one_after_the_other(edited: EditedModel, pictures) -> None:
    one_by_one = edited.store.pool()
    batched = EditedModel(edited.backbone, edited.network)
    batched.edit_many(
        [
            Correction(image=pictures[0], prompt="What is this?", target="a violet"),
            Correction(image=pictures[1], prompt="Where is it?", target="in Rome"),
        ]
    )
    pool = batched.store.pool()
    torch.testing.assert_close(one_by_one.experts.u, pool.experts.u, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(one_by_one.vision, pool.vision, atol=1e-5, rtol=1e-4)


def test_explain_names_every_edit_in_force_and_weighs_as_the_route_does(
    edited: EditedModel, pictures
) -> None:
    found = edited.explain(pictures[0], "What is this?")
    assert {one.edit.id for one in found} == {edit.id for edit in edited.edits}
    assert found[0].edit.target == "a violet"
    assert all(one.passes == (one.vision > one.threshold) for one in found)
    assert 0 < sum(one.weight for one in found) <= 1
    assert [one.weight for one in edited.explain(None, "What is this?")] == [0, 0]


@pytest.mark.parametrize(
    ("image", "prompt", "target", "error"),
    [
        ("nowhere.png", "What?", "a", BadImage),
        (b"not a picture", "What?", "a", BadImage),
        (None, "  ", "a", EmptyText),
        (None, "What?", "\n", EmptyText),
        (None, "What is <image>?", "a", ControlTokenInText),
        (None, "What?", "a<|im_end|>", ControlTokenInText),
    ],
)
def test_bad_input_leaves_the_store_as_it_was(
    edited: EditedModel, pictures, image, prompt, target, error
) -> None:
    before, changed = edited.edits, all_logits(edited, pictures)
    with pytest.raises(error):
        edited.edit(pictures[0] if image is None else image, prompt, target)
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


def test_a_correction_of_a_correction_wins_and_revoking_it_brings_the_other_back(
    model: EditedModel, pictures
) -> None:
    targets, logits = ["a violet", "a rose", "a tulip"], []
    for target in targets:
        made = model.edit(pictures[0], "What is this?", target)
        assert [edit.target for edit in model.edits] == [target]
        logits.append(all_logits(model, pictures))
    assert [conflict.edit.target for conflict in made.conflicts] == ["a rose"]
    assert made.conflicts[0].kind == "contradicts"
    for target, before in zip(targets[-2::-1], logits[-2::-1], strict=True):
        model.revoke(model.edits[0].id)
        assert [edit.target for edit in model.edits] == [target]
        assert torch.equal(all_logits(model, pictures), before)


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
    plain = EditedModel(model.backbone, model.network, config=EditingConfig(supersede=False))
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
            pictures, PROMPTS, ("a violet", "in Rome", "nobody"), strict=True
        )
    ]
    model.network.generator.v_gain.data.fill_(0.1)
    once = EditedModel(model.backbone, model.network, config=EditingConfig(refine_steps=0))
    assert not any(made.reached for made in once.edit_many(corrections))
    patient = EditingConfig(refine_steps=60, refine_rate=0.1)
    refined = EditedModel(model.backbone, model.network, config=patient)
    outcomes = refined.edit_many(corrections)
    assert all(made.reached and 0 < made.steps <= 60 for made in outcomes)
    for correction in corrections:
        assert refined.generate(correction.image, correction.prompt) == correction.target


def test_refinement_keeps_neighbours_where_it_is_told_to(model: EditedModel, pictures) -> None:
    model.network.generator.v_gain.data.fill_(0.1)
    neighbours = [(pictures[0], question) for question in _NEIGHBOURS]
    query = model.backbone.query(*zip(*neighbours, strict=True))

    def moved(locality: float) -> float:
        config = EditingConfig(refine_steps=40, refine_rate=0.1, refine_locality=locality)
        edited = EditedModel(model.backbone, model.network, config=config)
        assert edited.edit(pictures[0], "What is this?", "a violet").reached
        with torch.no_grad():
            before = model.backbone.model(**query.model_inputs()).logits[:, -1]
            with edited._edited(query):
                after = model.backbone.model(**query.model_inputs()).logits[:, -1]
        return float((after.softmax(-1) - before.softmax(-1)).abs().sum())

    assert moved(10.0) < 0.7 * moved(0.0)


def test_unknown_edit(edited: EditedModel) -> None:
    with pytest.raises(UnknownEdit, match="no-such-edit"):
        edited.revoke("no-such-edit")
    with pytest.raises(UnknownEdit), edited.only(["no-such-edit"]):
        pass
    assert len(edited.edits) == 2
