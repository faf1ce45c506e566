"""The codebook against a literal one, radii at conflicts, and values."""

import math
import random

import pytest
import torch

from liveedit.backbones.query import Questions
from liveedit.editor import EditedModel
from liveedit.errors import BadCheckpoint, MethodCannot
from liveedit.methods.grace.codebook import COVERED, nearest_within, radii
from liveedit.methods.grace.config import GraceConfig
from liveedit.methods.grace.method import Grace
from liveedit.methods.grace.values import fit_values, replacing
from liveedit.methods.shared.feed_forward.network import FeedForward, UpperPass
from liveedit.methods.shared.feed_forward.passes import answering
from liveedit.methods.shared.feed_forward.prefill_choice import keys_alone
from tests.backbones.families import tiny
from tests.methods.samples import ASKED, OTHER, logits_of, plain_logits


def literal_radii(keys: list[list[float]], labels: list[str], epsilon: float) -> list[float]:
    """Algorithm 1 of the paper, entry by entry."""
    entries: list[dict] = []
    for key, label in zip(keys, labels, strict=True):
        if not entries:
            entries.append({"key": key, "label": label, "radius": epsilon})
            continue
        own = [entry for entry in entries if entry["radius"] is not None]
        nearest = min(own, key=lambda entry: math.dist(entry["key"], key))
        distance = math.dist(nearest["key"], key)
        if distance > nearest["radius"] + epsilon:
            entries.append({"key": key, "label": label, "radius": epsilon})
        elif nearest["label"] == label:
            nearest["radius"] = max(nearest["radius"], distance)
            entries.append({"key": key, "label": label, "radius": None})
        else:
            nearest["radius"] = distance / 2 - 1e-5
            entries.append({"key": key, "label": label, "radius": distance / 2})
    return [COVERED if entry["radius"] is None else entry["radius"] for entry in entries]


@pytest.mark.parametrize("seed", range(4))
def test_radii_equal_those_of_the_papers_algorithm(seed: int) -> None:
    draw = random.Random(seed)
    keys = [[draw.gauss(0, 1) for _ in range(3)] for _ in range(40)]
    labels = [draw.choice(["a", "b", "c"]) for _ in keys]
    found = radii(torch.tensor(keys), labels, 0.6)
    torch.testing.assert_close(found, torch.tensor(literal_radii(keys, labels, 0.6)))
    assert (found == COVERED).any()
    assert ((found > 0) & (found < 0.6)).any()
    assert (found > 0.6).any()


def test_the_nearest_key_answers_within_its_radius_alone() -> None:
    apart = torch.tensor([[0.5, 0.2, 3.0], [0.5, 0.9, 0.1], [9.0, 9.0, 9.0]])
    radius = torch.tensor([[1.0, 0.1, COVERED]])
    # the first is nearer to a key that it is not within: another key's wide radius does not count
    assert nearest_within(apart, radius).tolist() == [-1, 0, -1]
    assert nearest_within(apart[:, :0], radius[:, :0]).tolist() == [-1, -1, -1]


def test_case_and_blanks_make_no_other_target() -> None:
    keys = torch.tensor([[0.0], [0.5]])
    assert radii(keys, ["a  Lynx", "A lynx"], 1.0).tolist() == [1.0, COVERED]


@pytest.fixture
def model() -> EditedModel:
    return EditedModel(Grace(tiny("llava"), GraceConfig(layer=1, steps=2, radius=50.0)))


def test_a_radius_shrinks_at_a_conflict_and_is_restored_by_revocation(model, pictures) -> None:
    model.edit(pictures[0], ASKED, "w", keep=True)

    def radius() -> float:
        (first, *_) = sorted(model.explain(pictures[0], ASKED), key=lambda one: one.edit.created)
        return first.prompt  # at its own key: all of the radius

    assert radius() == pytest.approx(50.0, abs=1e-3)
    newer = model.edit(pictures[1], ASKED, "z", keep=True)
    assert [one.kind for one in newer.conflicts] == ["alike"]
    asked = [Questions(pictures=[picture], prompts=[ASKED]) for picture in pictures[:2]]
    apart = float(torch.dist(*(keys_alone(model.method.network, one) for one in asked)))
    assert radius() == pytest.approx(apart / 2, abs=1e-3)
    model.revoke(newer.id)
    assert radius() == pytest.approx(50.0, abs=1e-3)
    model.restore(newer.id)
    assert radius() == pytest.approx(apart / 2, abs=1e-3)


def test_the_same_target_widens_and_outlives_the_key_that_it_widened(model, pictures) -> None:
    first = model.edit(pictures[0], ASKED, "w", keep=True)
    model.edit(pictures[1], ASKED, "w", keep=True)
    told = {one.edit.id: one.weight for one in model.explain(pictures[1], ASKED)}
    assert told[first.id] == 1.0  # the older key answers for both
    model.revoke(first.id)
    assert [one.weight for one in model.explain(pictures[1], ASKED)] == [1.0]


@pytest.mark.parametrize("family", ["llava", "blip-2", "gemma3"])
def test_the_value_replaces_the_networks_output_from_the_last_token_on(family, pictures) -> None:
    backbone = tiny(family)
    network = FeedForward(backbone, 2, method="grace")
    query = backbone.query([pictures[0], None], [ASKED, "Why?"], ["wo", "z"])
    seen: list[torch.Tensor] = []

    def look(_entered, left):
        seen.append(left.clone())

    values = torch.randn(2, backbone.width)
    where = answering(query.spans)
    with torch.no_grad():
        with network.changing(look):
            plain = backbone.logits(query)
        with network.changing(replacing(values, where)):
            edited = backbone.logits(query)
        again = UpperPass(network, query).logits(replacing(values, where))
    assert seen[0].shape == (*query.input_ids.shape, backbone.width)
    torch.testing.assert_close(again, edited[query.spans.predicts], atol=1e-4, rtol=1e-4)
    for row in range(2):
        (first, *_) = query.spans.predicts[row].nonzero().flatten().tolist()
        assert where[row].nonzero().flatten().tolist() == list(
            range(first, first + int(query.spans.target[row].sum()) + 1)
        )
        torch.testing.assert_close(edited[row, :first], plain[row, :first])
        assert not torch.allclose(edited[row, first:], plain[row, first:])


def test_steps_raise_the_target_and_each_row_is_fitted_by_itself(pictures) -> None:
    backbone = tiny("llava")
    network = FeedForward(backbone, 1, method="grace")
    config = GraceConfig(rate=0.1, steps=5)

    def fitted(rows: slice):
        query = backbone.query(pictures[:2][rows], [ASKED, OTHER][rows], ["w", "z"][rows])
        batch = UpperPass(network, query)
        return batch, fit_values(batch, config)

    batch, both = fitted(slice(None))
    assert both.steps.tolist() == [5, 5]
    before = batch.margins(batch.logits(lambda _entered, _left: None))
    after = batch.margins(batch.logits(replacing(both.values, batch.where)))
    assert (after > before).all()
    for row in range(2):
        _, alone = fitted(slice(row, row + 1))
        torch.testing.assert_close(alone.values[0], both.values[row], atol=1e-3, rtol=1e-3)


def test_what_it_cannot_edit_is_refused(pictures, tmp_path) -> None:
    with pytest.raises(MethodCannot, match="edit layer 9 of tiny-llava; give one of 0 to 4"):
        Grace(tiny("llava"), GraceConfig(layer=9))
    with pytest.raises(ValueError, match="greater than 0"):
        GraceConfig(radius=0.0)
    with pytest.raises(ValueError, match="Extra inputs"):
        GraceConfig(epsilon=1.0)
    with pytest.raises(BadCheckpoint, match="needs no editor"):
        Grace.load(tiny("llava"), tmp_path)


def test_a_saved_model_comes_back_with_its_layer(model, pictures, tmp_path) -> None:
    model.method.save(tmp_path)
    again = Grace.load(model.backbone, tmp_path)
    assert again.config == model.method.config
    assert again.identity == model.method.identity


def test_a_mixture_of_experts_is_refused(monkeypatch) -> None:
    from liveedit.methods.shared.feed_forward import network

    monkeypatch.setattr(network, "linear_path", lambda *_: None)
    with pytest.raises(MethodCannot, match="whose feed-forward network is not plain; give a layer"):
        Grace(tiny("llava"))


def test_several_pictures_and_none(model, pictures) -> None:
    made = model.edit([pictures[0], pictures[1]], ASKED, "w", keep=True)
    assert made.id
    plain = plain_logits(model, None, "When was Rome founded?")
    model.method.config = model.method.config.model_copy(update={"radius": 0.1})
    assert torch.equal(logits_of(model, None, "When was Rome founded?"), plain)
