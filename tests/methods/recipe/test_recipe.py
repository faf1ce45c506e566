"""Prompts before questions, the sentinel, and the losses against literal ones."""

import math

import pytest
import torch

from liveedit.backbones.query import Questions
from liveedit.editor import EditedModel
from liveedit.errors import BackboneMismatch, BadCheckpoint
from liveedit.methods.recipe.config import RecipeConfig, RecipeTraining
from liveedit.methods.recipe.method import Recipe
from liveedit.methods.recipe.network import RecipeNetwork, _moved, _surprise, prompted
from liveedit.methods.recipe.prompts import prompts_of
from liveedit.methods.recipe.retriever import Retriever, retrieval_loss
from liveedit.methods.shared.training.example_features import (
    CONCERNED,
    EDIT,
    UNCONCERNED,
    ExampleFeatures,
)
from tests.backbones.families import tiny
from tests.methods.samples import (
    AGAIN,
    ASKED,
    FACT,
    FACT_AGAIN,
    OTHER,
    UNASKED,
    examples,
    logits_of,
    plain_logits,
    training_of,
)

SIZES = RecipeTraining(
    key=16, width=32, heads=2, shared=2, tokens=4, corrections=3, steps=25, retrieval_steps=120,
    batch=3, retrieval_batch=3, rate=3e-2,
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(backbone, pictures, tmp_path_factory):
    return Recipe.prepare(
        backbone, tmp_path_factory.mktemp("recipe"), training=training_of(pictures), sizes=SIZES
    )


@pytest.fixture
def model(backbone, folder, pictures) -> EditedModel:
    model = EditedModel(Recipe.load(backbone, folder))
    model.edit(pictures[0], ASKED, "a lynx", keep=True)
    model.edit(None, FACT, "Maria", keep=True)
    return model


@pytest.mark.parametrize("family", ["llava", "blip-2", "gemma3", "qwen2_5_vl", "paligemma"])
def test_a_prompt_of_real_words_is_as_if_they_had_been_there(family, pictures) -> None:
    backbone = tiny(family)
    plain = backbone.query([pictures[0], None], [ASKED, FACT])
    query = backbone.query([pictures[0], None], [ASKED, FACT], lead=[2, 0])
    assert query.input_ids.shape[1] in (plain.input_ids.shape[1], plain.input_ids.shape[1] + 2)
    words = torch.tensor(backbone.tokenizer.encode("what", add_special_tokens=False)[:2])
    start = int(query.attention_mask[0].argmax())
    literal = backbone.query([pictures[0], None], [ASKED, FACT], lead=[2, 0])
    literal.input_ids[0, start : start + 2] = words
    with torch.no_grad():
        expected = backbone.logits(literal)
        embedded = backbone.model.get_input_embeddings()(words)
        with prompted(backbone, query, [0], embedded[None]):
            found = backbone.logits(query)
        assert torch.equal(found, expected)
        assert not torch.equal(backbone.logits(query)[0], expected[0])


def test_at_first_a_prompt_holds_the_targets_own_embeddings(backbone) -> None:
    torch.manual_seed(0)
    encoder = RecipeNetwork(backbone, SIZES).encoder
    with torch.no_grad():
        encoder.sharpness.fill_(1000.0)
        encoder.queries.zero_()
        (prompt,) = prompts_of(encoder, backbone, [(ASKED, "a grey wolf and two owls")])
        ids = torch.tensor(backbone.target_ids("a grey wolf and two owls")[:4])
        torch.testing.assert_close(prompt[:2], encoder.unit * encoder.shared)
        torch.testing.assert_close(prompt[2:], backbone.model.get_input_embeddings()(ids).float())
        # a batch gives what its rows give alone
        both = prompts_of(encoder, backbone, [(ASKED, "no"), (FACT, "a grey wolf")])
        (alone,) = prompts_of(encoder, backbone, [(ASKED, "no")])
    torch.testing.assert_close(both[0], alone, atol=1e-5, rtol=1e-4)


def test_the_retrieval_loss_equals_a_literal_one() -> None:
    torch.manual_seed(0)
    retriever = Retriever(5, 4)
    role = [EDIT, CONCERNED, UNCONCERNED, EDIT, UNCONCERNED]
    owner = [2, 2, 2, 6, 6]
    batch = ExampleFeatures(
        vision=torch.randn(5, 5), prompt=torch.randn(5, 384), sees=torch.ones(5, dtype=torch.bool),
        owner=torch.tensor(owner), role=torch.tensor(role),
    )  # fmt: skip
    stated = torch.randn(2, 384)
    with torch.no_grad():
        found = retrieval_loss(retriever, batch, stated, 0.5)
        asked = retriever.questions(batch.vision, batch.prompt)
        known = [
            retriever.knowledges(batch.vision[at : at + 1], stated[number : number + 1])[0]
            for number, at in enumerate((0, 3))
        ]
        sentinel = retriever.sentinel / retriever.sentinel.norm()
        inside, outside, second = [], [], []
        for question, kind, mine in zip(asked, role, (0, 0, 0, 1, 1), strict=True):
            scores = [math.exp(float(question @ one) / 0.5) for one in (*known, sentinel)]
            if kind == UNCONCERNED:
                outside.append(-math.log(scores[2] / sum(scores)))
            else:
                inside.append(-math.log(scores[mine] / sum(scores)))
                second.append(-math.log(scores[2] / (sum(scores) - scores[mine])))
    expected = sum(sum(part) / len(part) for part in (inside, outside, second)) / 3
    assert found.item() == pytest.approx(expected, rel=1e-4)


def test_training_raises_the_targets(backbone, folder, pictures) -> None:
    own = examples(pictures)
    asked = [(one.correction.image, one.correction.prompt) for one in own]
    torch.manual_seed(0)
    fresh, trained = RecipeNetwork(backbone, SIZES), Recipe.load(backbone, folder).network
    with torch.no_grad():
        before, after = (
            _surprise(network.encoder, backbone, own, asked) for network in (fresh, trained)
        )
    assert after < 0.8 * before


def test_training_leaves_the_rest_more_as_it_was_the_more_that_weighs(
    backbone, pictures, tmp_path
) -> None:
    own = examples(pictures)
    asked = [one.unconcerned[0] for one in own]
    moved = []
    for weight in (0.0, 10.0):
        folder = Recipe.prepare(
            backbone,
            tmp_path / str(weight),
            training=training_of(pictures),
            sizes=SIZES.model_copy(update={"locality": weight}),
        )
        with torch.no_grad():
            moved.append(
                _moved(Recipe.load(backbone, folder).network.encoder, backbone, own, asked)
            )
    assert moved[1] < 0.5 * moved[0]


def test_only_what_is_above_the_sentinel_gets_a_prompt(model, pictures) -> None:
    for picture, question in (
        (pictures[0], ASKED), (pictures[0], AGAIN), (None, FACT), (None, FACT_AGAIN)
    ):  # fmt: skip
        (best, *_) = model.explain(picture, question)
        assert best.weight == 1.0
        assert best.vision > best.threshold
        width = plain_logits(model, picture, question).shape[1]
        assert logits_of(model, picture, question).shape[1] == width + 6
    for picture, question in ((pictures[0], OTHER), (None, UNASKED)):
        assert all(one.weight == 0.0 for one in model.explain(picture, question))
        plain = plain_logits(model, picture, question)
        assert torch.equal(logits_of(model, picture, question), plain)
    strict = RecipeConfig(margin=2.0)
    model.method.config = strict
    assert torch.equal(
        logits_of(model, pictures[0], ASKED), plain_logits(model, pictures[0], ASKED)
    )


def test_rows_and_ways_of_decoding_agree(model, pictures) -> None:
    asked = ([pictures[0], None, pictures[0]], [AGAIN, FACT, OTHER])
    together = model.generate(*asked, max_new_tokens=6)
    alone = [model.generate(*one, max_new_tokens=6) for one in zip(*asked, strict=True)]
    assert together == alone
    for options in ({"use_cache": False}, {"do_sample": True, "top_k": 1}):
        assert model.generate(pictures[0], AGAIN, max_new_tokens=6, **options) == alone[0]
    questions = Questions(pictures=[pictures[0]], prompts=[ASKED], targets=["a lynx"])
    assert model.method.reaches(questions, model.store.pool())[0] in (True, False)


def test_a_restart_answers_the_same_and_revoking_all_as_before(
    model, backbone, folder, pictures, tmp_path
) -> None:
    one = EditedModel(Recipe.load(backbone, folder), tmp_path / "edits.db")
    made = [
        one.edit(pictures[0], ASKED, "a lynx", keep=True),
        one.edit(None, FACT, "Maria", keep=True),
    ]
    again = EditedModel(Recipe.load(backbone, folder), tmp_path / "edits.db")
    for picture, question in ((pictures[0], AGAIN), (None, FACT_AGAIN)):
        before = logits_of(one, picture, question)
        assert torch.equal(logits_of(again, picture, question), before)
    for edit in made:
        again.revoke(edit.id)
    for picture, question in ((pictures[0], AGAIN), (None, FACT_AGAIN)):
        plain = plain_logits(one, picture, question)
        assert torch.equal(logits_of(again, picture, question), plain)


def test_what_it_needs_is_asked_for(backbone, folder, tmp_path) -> None:
    with pytest.raises(BadCheckpoint, match="liveedit train --method recipe --model"):
        Recipe.load(backbone)
    with pytest.raises(BackboneMismatch):
        Recipe.load(tiny("llava_next"), folder)
    with pytest.raises(ValueError, match="training corrections"):
        Recipe.prepare(backbone, tmp_path)
    Recipe.load(backbone, folder).save(tmp_path / "again")
    again = Recipe.load(backbone, tmp_path / "again")
    assert again.identity == Recipe.load(backbone, folder).identity
