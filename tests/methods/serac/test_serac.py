"""The scope against a literal one, the counterfactual model, and who answers when."""

import math

import pytest
import torch

from liveedit.backbones.query import Questions
from liveedit.editor import EditedModel
from liveedit.errors import BackboneMismatch, BadCheckpoint, UnsupportedGeneration
from liveedit.methods.serac.config import SeracConfig, SeracTraining
from liveedit.methods.serac.counterfactual import Pointed, pointing_loss
from liveedit.methods.serac.method import Serac
from liveedit.methods.shared.training.example_features import (
    CONCERNED,
    EDIT,
    UNCONCERNED,
    ExampleFeatures,
)
from liveedit.methods.shared.training.scope_network import ScopeNetwork, scope_loss
from tests.backbones.families import tiny
from tests.methods.samples import (
    AGAIN,
    ASKED,
    FACT,
    FACT_AGAIN,
    OTHER,
    UNASKED,
    logits_of,
    plain_logits,
    training_of,
)

SIZES = SeracTraining(
    key=16, width=64, layers=1, heads=2, longest=6, corrections=6, steps=150, batch=6, rate=5e-3
)


@pytest.fixture(scope="module")
def folder(backbone, pictures, tmp_path_factory):
    return Serac.prepare(
        backbone, tmp_path_factory.mktemp("serac"), training=training_of(pictures), sizes=SIZES
    )


@pytest.fixture
def model(backbone, folder, pictures) -> EditedModel:
    model = EditedModel(Serac.load(backbone, folder))
    model.edit(pictures[0], ASKED, "a grey wolf")
    model.edit(None, FACT, "Ines")
    return model


def test_the_scope_and_its_loss_equal_literal_ones() -> None:
    torch.manual_seed(0)
    network = ScopeNetwork(5, 4)
    with torch.no_grad():
        network.centre.normal_()
        network.slope.normal_()
        network.threshold.normal_()
    sees = torch.tensor([True, True, True, False, False, True])
    batch = ExampleFeatures(
        vision=torch.randn(6, 5) * sees[:, None],
        prompt=torch.randn(6, 384),
        sees=sees,
        owner=torch.tensor([4, 4, 4, 7, 7, 9]),
        role=torch.tensor([EDIT, CONCERNED, UNCONCERNED, EDIT, CONCERNED, EDIT]),
    )

    def probability(query: int, edit: int) -> float | None:
        if bool(sees[query]) != bool(sees[edit]):
            return None

        def cosine(project, parts) -> float:
            one, other = (project(parts[row]) for row in (query, edit))
            return (one @ other / one.norm() / other.norm()).item()

        def sigmoid(kind: int, value: float) -> float:
            slope, threshold = math.exp(network.slope[kind].item()), network.threshold[kind].item()
            return 1 / (1 + math.exp(-slope * (value - threshold)))

        asked = cosine(network.prompt, batch.prompt)
        if not sees[query]:
            return sigmoid(2, asked)
        seen = cosine(network.vision, batch.vision - network.centre)
        return sigmoid(0, seen) * sigmoid(1, asked)

    kinds: dict[str, list[float]] = {"inside": [], "close": [], "other": []}
    edits = [0, 3, 5]
    keys = network.keys(batch.vision, batch.prompt, batch.sees)
    own = network.keys(batch.vision[edits], batch.prompt[edits], batch.sees[edits])
    found = network.log_scope(keys, own).exp()
    for query in range(6):
        for column, edit in enumerate(edits):
            expected = probability(query, edit)
            assert found[query, column].item() == pytest.approx(expected or 0.0, rel=1e-4)
            if expected is None:
                continue
            if batch.owner[query] != batch.owner[edit]:
                kinds["other"].append(-math.log(1 - expected))
            elif batch.role[query] == UNCONCERNED:
                kinds["close"].append(-math.log(1 - expected))
            else:
                kinds["inside"].append(-math.log(expected))
    means = [sum(values) / len(values) for values in kinds.values()]
    assert scope_loss(network, batch).item() == pytest.approx(sum(means) / 3, rel=1e-4)


def test_a_word_that_stands_twice_counts_twice() -> None:
    weights = torch.tensor([[[0.5, 0.3, 0.2]]]).log()
    pointed = Pointed(weights=weights, ids=torch.tensor([[7, 8, 7]]))
    logits = pointed.logits(0, torch.tensor([0, 5]), 10)
    torch.testing.assert_close(logits.softmax(-1)[:, 7], torch.tensor([0.7, 0.7]))
    torch.testing.assert_close(logits.softmax(-1)[:, 8], torch.tensor([0.3, 0.3]))
    loss = pointing_loss(pointed, torch.tensor([[7]]), torch.tensor([[True]]))
    assert loss.item() == pytest.approx(-math.log(0.7))


def test_the_counterfactual_model_answers_in_scope_alone(model, pictures) -> None:
    for picture, question, answer in (
        (pictures[0], ASKED, "a grey wolf"), (pictures[0], AGAIN, "a grey wolf"),
        (None, FACT, "Ines"), (None, FACT_AGAIN, "Ines"),
    ):  # fmt: skip
        assert model.generate(picture, question, max_new_tokens=12) == answer
    for picture, question in ((pictures[0], OTHER), (pictures[1], ASKED), (None, UNASKED)):
        plain = plain_logits(model, picture, question)
        assert torch.equal(logits_of(model, picture, question), plain)


def test_rows_of_a_batch_are_answered_each_by_its_own(model, pictures) -> None:
    images, prompts = [pictures[0], pictures[1], None], [AGAIN, AGAIN, FACT]
    plain = model.backbone.generate(model.backbone.query([pictures[1]], [AGAIN]), max_new_tokens=9)
    assert model.generate(images, prompts, max_new_tokens=9) == [
        "a grey wolf", plain[0].strip(), "Ines"
    ]  # fmt: skip
    for options in ({"use_cache": False}, {"num_beams": 2}, {"do_sample": True, "top_k": 1}):
        answer = model.generate(pictures[0], AGAIN, max_new_tokens=9, **options)
        assert answer == "a grey wolf"
    with pytest.raises(UnsupportedGeneration, match=r"in one pass|token by token"):
        model.generate(None, FACT, max_new_tokens=9, prompt_lookup_num_tokens=3)


def test_teacher_forcing_scores_each_token_behind_the_last_of_the_prompt(model, pictures) -> None:
    asked = Questions(
        pictures=[pictures[0], None], prompts=[ASKED, FACT], targets=["a grey wolf", "Ines"]
    )
    with torch.no_grad(), model.method.apply(asked, model._pool()) as query:
        logits = model.backbone.logits(query)
    predicted = logits.argmax(-1) == query.input_ids.roll(-1, 1)
    assert predicted[query.spans.predicts].all()
    before = query.spans.prompt & ~query.spans.predicts
    with torch.no_grad():
        own = model.backbone.logits(query)
    assert torch.equal(own[before], logits[before])
    assert model.method.reaches(asked, model.store.pool()) == [True, True]


def test_a_restart_answers_the_same_and_revoking_all_as_before(
    model, backbone, folder, pictures, tmp_path
) -> None:
    one = EditedModel(Serac.load(backbone, folder), tmp_path / "edits.db")
    made = [one.edit(pictures[0], ASKED, "a grey wolf"), one.edit(None, FACT, "Ines")]
    again = EditedModel(Serac.load(backbone, folder), tmp_path / "edits.db")
    for picture, question in ((pictures[0], AGAIN), (None, FACT_AGAIN)):
        before = logits_of(one, picture, question)
        assert torch.equal(logits_of(again, picture, question), before)
        assert not torch.equal(before, plain_logits(one, picture, question))
    for edit in made:
        again.revoke(edit.id)
    for picture, question in ((pictures[0], AGAIN), (None, FACT_AGAIN)):
        plain = plain_logits(one, picture, question)
        assert torch.equal(logits_of(again, picture, question), plain)


def test_a_higher_bar_narrows_the_scope(backbone, folder, pictures) -> None:
    model = EditedModel(Serac.load(backbone, folder, SeracConfig(scope=0.9999999)))
    model.edit(pictures[0], ASKED, "a grey wolf", keep=True)
    assert not any(one.passes for one in model.explain(pictures[0], AGAIN))


def test_what_it_needs_is_asked_for(backbone, folder, pictures, tmp_path) -> None:
    with pytest.raises(BadCheckpoint, match="liveedit train --method serac --model"):
        Serac.load(backbone)
    with pytest.raises(BackboneMismatch):
        Serac.load(tiny("llava_next"), folder)
    with pytest.raises(ValueError, match="training corrections"):
        Serac.prepare(backbone, tmp_path)
    Serac.load(backbone, folder).save(tmp_path / "again")
    assert (
        Serac.load(backbone, tmp_path / "again").identity == Serac.load(backbone, folder).identity
    )
    (tmp_path / "again" / "serac.safetensors").write_bytes(b"no")
    with pytest.raises(BadCheckpoint, match="cannot be read"):
        Serac.load(backbone, tmp_path / "again")
