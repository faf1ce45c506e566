"""The low-rank change: what it adds, what it learns, and for which rows it is in force."""

import pytest
import torch

from liveedit.backbones.query import Questions
from liveedit.editor import EditedModel
from liveedit.errors import BackboneMismatch, BadCheckpoint
from liveedit.methods.lte.config import LteConfig, LteTraining
from liveedit.methods.lte.method import Lte
from liveedit.methods.lte.tuning import LowRankTuning, _follow, _moved
from tests.backbones.families import tiny
from tests.methods.samples import (
    AGAIN,
    ASKED,
    FACT,
    FACT_AGAIN,
    OTHER,
    UNASKED,
    examples,
    given,
    logits_of,
    plain_logits,
    told,
    training_of,
)

SIZES = LteTraining(rank=4, corrections=3, steps=20, batch=3, rate=2e-2)


@pytest.fixture(scope="module")
def folder(backbone, pictures, tmp_path_factory):
    return Lte.prepare(
        backbone,
        tmp_path_factory.mktemp("lte"),
        examples=examples(pictures),
        training=training_of(pictures),
        sizes=SIZES,
    )


@pytest.fixture
def model(backbone, folder, pictures) -> EditedModel:
    model = EditedModel(Lte.load(backbone, folder))
    model.edit(pictures[0], ASKED, "a lynx", keep=True)
    model.edit(None, FACT, "Maria", keep=True)
    return model


def test_it_adds_the_product_of_both_factors_and_nothing_at_first(pictures) -> None:
    backbone = tiny("llava")
    tuning = LowRankTuning(backbone, SIZES).requires_grad_(False)
    query = backbone.query([pictures[0], None], [ASKED, FACT])
    with torch.no_grad():
        plain = backbone.logits(query)
        with tuning.following(backbone, [0, 1], 2, 1.0):
            assert torch.equal(backbone.logits(query), plain)
        for writes in tuning.writes:
            writes.normal_()
        with tuning.following(backbone, [1], 2, 0.5):
            found = backbone.logits(query)
        assert torch.equal(found[0], plain[0])
        changed = []
        for path, reads, writes in zip(tuning.paths, tuning.reads, tuning.writes, strict=True):
            weight = backbone.decoder.get_submodule(path).weight
            changed.append((weight, weight.clone()))
            weight += 0.5 * (SIZES.alpha / SIZES.rank) * writes.T @ reads
        try:
            literal = backbone.logits(query)
        finally:
            for weight, before in changed:
                weight.copy_(before)
    torch.testing.assert_close(found[1], literal[1], atol=1e-3, rtol=1e-3)
    assert torch.equal(backbone.logits(query), plain)


def test_training_makes_it_follow_and_keeps_the_rest(backbone, folder, pictures, tmp_path) -> None:
    own = examples(pictures)
    trained = Lte.load(backbone, folder).tuning
    fresh = LowRankTuning(backbone, SIZES).requires_grad_(False)
    asked = [(one.correction.image, one.correction.prompt) for one in own]
    with torch.no_grad():
        before, after = (
            _follow(tuning, backbone, SIZES, own, asked) for tuning in (fresh, trained)
        )
    assert after < 0.7 * before
    careless = Lte.prepare(
        backbone,
        tmp_path / "careless",
        examples=own,
        training=training_of(pictures),
        sizes=SIZES.model_copy(update={"locality": 0.0}),
    )
    kept = [(one, one.unconcerned[0], "no") for one in own]
    with torch.no_grad():
        moved, more = (
            _moved(tuning, backbone, SIZES, kept)
            for tuning in (trained, Lte.load(backbone, careless).tuning)
        )
    assert 0 < moved < 0.8 * more


def test_the_divergence_equals_a_slow_one(backbone, pictures) -> None:
    one = examples(pictures)[0]
    tuning = LowRankTuning(backbone, SIZES).requires_grad_(False)
    other = one.unconcerned[0]
    prompt = SIZES.form.format(
        prompt=one.correction.prompt, target=one.correction.target, question=other[1]
    )
    plain = backbone.query([other[0]], [other[1]], ["on a hill"])
    behind = backbone.query([other[0]], [prompt], ["on a hill"])
    with torch.no_grad():
        p, q = (
            backbone.logits(query)[query.spans.predicts].float().log_softmax(-1)
            for query in (plain, behind)
        )
        expected = sum(float((a.exp() * (a - b)).sum()) for a, b in zip(p, q, strict=True)) / len(p)
        found = _moved(tuning, backbone, SIZES, [(one, other, "on a hill")])
    assert found.item() == pytest.approx(expected, rel=1e-3)


def test_it_is_in_force_for_rows_that_are_told_something(model, pictures) -> None:
    assert f"[Updated Information] {ASKED} a lynx\n[Query] {AGAIN}" in told(
        model, pictures[0], AGAIN
    )
    query = given(model, pictures[0], AGAIN)
    with torch.no_grad():
        untuned = model.backbone.logits(query)
    assert not torch.equal(logits_of(model, pictures[0], AGAIN), untuned)
    for picture, question in ((pictures[0], OTHER), (pictures[1], ASKED), (None, UNASKED)):
        plain = plain_logits(model, picture, question)
        assert torch.equal(logits_of(model, picture, question), plain)
    asked = Questions(pictures=[pictures[0], None], prompts=[AGAIN, UNASKED])
    with torch.no_grad(), model.method.apply(asked, model._pool()) as query:
        edited = model.backbone.logits(query)
        inside = query
    with torch.no_grad():
        assert torch.equal(model.backbone.logits(inside)[1], edited[1])
    alone = model.generate(pictures[0], AGAIN, max_new_tokens=6)
    for options in ({"use_cache": False}, {"do_sample": True, "top_k": 1}):
        assert model.generate(pictures[0], AGAIN, max_new_tokens=6, **options) == alone


def test_a_restart_answers_the_same_and_revoking_all_as_before(
    model, backbone, folder, pictures, tmp_path
) -> None:
    one = EditedModel(Lte.load(backbone, folder), tmp_path / "edits.db")
    made = [
        one.edit(pictures[0], ASKED, "a lynx", keep=True),
        one.edit(None, FACT, "Maria", keep=True),
    ]
    again = EditedModel(Lte.load(backbone, folder), tmp_path / "edits.db")
    for picture, question in ((pictures[0], AGAIN), (None, FACT_AGAIN)):
        before = logits_of(one, picture, question)
        assert torch.equal(logits_of(again, picture, question), before)
        assert torch.equal(logits_of(model, picture, question), before)
    for edit in made:
        again.revoke(edit.id)
    for picture, question in ((pictures[0], AGAIN), (None, FACT_AGAIN)):
        plain = plain_logits(one, picture, question)
        assert torch.equal(logits_of(again, picture, question), plain)


def test_without_strength_the_text_alone_is_told(backbone, folder, pictures) -> None:
    model = EditedModel(Lte.load(backbone, folder, LteConfig(strength=0.0)))
    model.edit(pictures[0], ASKED, "a lynx", keep=True)
    query = given(model, pictures[0], AGAIN)
    with torch.no_grad():
        assert torch.equal(logits_of(model, pictures[0], AGAIN), model.backbone.logits(query))


def test_what_it_needs_is_asked_for(backbone, folder, pictures, tmp_path) -> None:
    with pytest.raises(BadCheckpoint, match="liveedit train --method lte --model"):
        Lte.load(backbone)
    with pytest.raises(BackboneMismatch):
        Lte.load(tiny("llava_next"), folder)
    with pytest.raises(ValueError, match="training corrections"):
        Lte.prepare(backbone, tmp_path, examples=examples(pictures))
    Lte.load(backbone, folder).save(tmp_path / "again")
    assert Lte.load(backbone, tmp_path / "again").identity == Lte.load(backbone, folder).identity
    (tmp_path / "again" / "tuning" / "lte.safetensors").unlink()
    with pytest.raises(BadCheckpoint, match="cannot be read"):
        Lte.load(backbone, tmp_path / "again")
