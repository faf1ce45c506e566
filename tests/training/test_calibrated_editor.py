"""Calibration on a tiny model: what is made is an editor like any other."""

import copy
from itertools import islice

import pytest
import torch
from torch.nn import functional as F

from liveedit.backbones.at_layer import at_layer
from liveedit.backbones.registry import load_backbone
from liveedit.data.emoji_edit.corrections import training_cases, validation_set
from liveedit.data.views import views_of
from liveedit.editor import EditedModel
from liveedit.errors import BackboneMismatch, CannotCalibrate, TextOnlyCorrection
from liveedit.methods.liveedit.checkpoint import editor_digest, save_editor
from liveedit.methods.liveedit.features import RoutingFeatures
from liveedit.methods.liveedit.method import LiveEdit
from liveedit.training import calibrated_editor
from liveedit.training.calibrated_editor import (
    HELD,
    CalibratedEditor,
    CalibrationSettings,
    best_of_layers,
    calibrate_editor,
)
from liveedit.training.calibration import PROMPT_MARGINS
from liveedit.training.data import TrainingData

SETTINGS = CalibrationSettings(directions=24)


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return TrainingData(cases=list(islice(training_cases(), 10)), held=validation_set(8))


@pytest.fixture(scope="module")
def made(backbone, data) -> CalibratedEditor:
    return calibrate_editor(backbone, data, SETTINGS)


def test_a_correction_fires_for_itself_and_says_what_it_should(made, data, tmp_path):
    backbone = made.backbone
    save_editor(made.network, backbone.fingerprint(), tmp_path)
    model = EditedModel(LiveEdit.load(backbone, tmp_path))
    ((picture, question),) = views_of(data.held[0], ("edit",))
    before = model.generate(picture, question)
    outcome = model.edit(picture, question, "a red dog")
    assert outcome.reached
    assert model.generate(picture, question) == "a red dog" != before
    (why,) = model.explain(picture, question)
    assert why.weight > 0.5
    with pytest.raises(TextOnlyCorrection):
        model.edit(None, question, "a red dog")
    unrelated = "Who are you?"
    with model.disabled():
        own = model.generate(None, unrelated)
    assert model.generate(None, unrelated) == own


def test_what_fires_is_told_for_every_view_and_number_in_force(made):
    assert list(made.margins.fired) == [1, 8]
    for shares in made.margins.fired.values():
        assert tuple(shares) == HELD
        assert shares["edit"] == 1.0  # the very same states cannot be missed
    assert 0 <= made.recall <= 1
    assert made.network.config.calibrated
    assert made.network.config.width == 24


def test_the_same_seed_makes_the_same_editor(made, data):
    again = calibrate_editor(made.backbone, data, SETTINGS)
    assert editor_digest(again.network) == editor_digest(made.network)


@pytest.fixture(scope="module")
def higher(backbone, data) -> CalibratedEditor:
    """The same model, edited one layer further up."""
    return calibrate_editor(at_layer(backbone, 2), data, SETTINGS)


def test_of_several_layers_the_best_is_kept(made, higher, data, monkeypatch):
    known = {one.backbone.edit_layer: one for one in (made, higher)}
    monkeypatch.setattr(
        calibrated_editor, "calibrate_editor", lambda backbone, *_: known[backbone.edit_layer]
    )
    best = best_of_layers([made.backbone, higher.backbone], data, SETTINGS)
    assert best.recall == max(made.recall, higher.recall)
    assert made.backbone.edit_layer == 1  # of which a second one was made


def test_an_editor_of_another_layer_brings_its_layer_along(higher, tmp_path, tiny_folder):
    save_editor(higher.network, load_backbone(tiny_folder, edit_layer=2).fingerprint(), tmp_path)
    model = EditedModel.from_pretrained(tiny_folder, editor=tmp_path)
    assert model.backbone.edit_layer == 2
    with pytest.raises(BackboneMismatch, match="edit_layer: checkpoint 2, model 1"):
        EditedModel.from_pretrained(tiny_folder, editor=tmp_path, edit_layer=1)


def test_a_model_that_makes_the_same_of_everything_is_refused(backbone, data, monkeypatch):
    def same(backbone, pictures, questions):
        query = backbone.query(pictures, questions)
        return query, torch.ones(*query.input_ids.shape, backbone.width)

    monkeypatch.setattr(calibrated_editor, "states_by_picture", same)
    with pytest.raises(CannotCalibrate, match="the same of every picture"):
        calibrate_editor(backbone, data, SETTINGS)


@pytest.mark.parametrize("apart", [1.0, 0.05])
@torch.no_grad()
def test_a_question_always_scores_enough_with_itself(made, apart):
    """Also where all questions are nearly alike; and the threshold is amid same and other ones."""
    torch.manual_seed(0)
    network, asked = copy.deepcopy(made.network), torch.ones(6, 24)

    def near(how: float) -> RoutingFeatures:
        prompt = F.normalize(asked + apart * how * torch.randn(6, 24), dim=1)
        sees = torch.ones(6, dtype=torch.bool)
        return RoutingFeatures(vision=prompt, prompt=prompt, sentinel=prompt, sees=sees)

    features = {"edit": near(0), "rephrase": near(0.5), "other question": near(2)}
    calibrated_editor._set_scales(network, features)
    scores = {
        name: network.router.similarities(some, features["edit"]).prompt.diagonal()
        for name, some in features.items()
    }
    assert scores["edit"].min() > 2 * PROMPT_MARGINS.max() - 0.01
    assert scores["rephrase"].mean() > 0 > scores["other question"].mean()
