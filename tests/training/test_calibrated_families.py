"""A calibrated editor for a tiny random model of every family."""

from itertools import islice

import pytest

from liveedit.data.emoji_edit.corrections import training_cases, validation_set
from liveedit.data.views import views_of
from liveedit.editor import EditedModel
from liveedit.methods.liveedit.method import LiveEdit
from liveedit.training.calibrated_editor import CalibrationSettings, calibrate_editor
from liveedit.training.data import TrainingData
from tests.backbones.families import FAMILIES, tiny


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return TrainingData(cases=list(islice(training_cases(), 4)), held=validation_set(3))


QUICK = ("llava", "qwen2_5_vl", "paligemma")  # the others are much like one of these


@pytest.mark.parametrize(
    "family",
    [pytest.param(name, marks=[] if name in QUICK else pytest.mark.thorough) for name in FAMILIES],
)
def test_a_correction_is_made_asked_and_taken_back(family, data):
    backbone = tiny(family)
    made = calibrate_editor(backbone, data, CalibrationSettings())
    model = EditedModel(LiveEdit(backbone, made.network))
    (picture, question), (other, _) = views_of(data.held[0], ("edit", "elsewhere"))
    before = [model.generate(one, question) for one in (picture, other)]
    outcome = model.edit(picture, question, "a red dog")
    assert outcome.reached
    assert model.generate(picture, question) == "a red dog"
    model.revoke(outcome.id)
    assert [model.generate(one, question) for one in (picture, other)] == before
