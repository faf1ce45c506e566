import pytest
import torch
from PIL import Image

from liveedit.backbones.llava import LlavaBackbone
from liveedit.config import EditorConfig
from liveedit.correction import Correction
from liveedit.editor import EditedModel
from liveedit.errors import BadImage, ControlTokenInText, EmptyText, UnknownEdit
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


def test_unknown_edit(edited: EditedModel) -> None:
    with pytest.raises(UnknownEdit, match="no-such-edit"):
        edited.revoke("no-such-edit")
    with pytest.raises(UnknownEdit), edited.only(["no-such-edit"]):
        pass
    assert len(edited.edits) == 2
