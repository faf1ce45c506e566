"""The last stage: what tells photographs apart, and words that make the model say their names."""

from copy import deepcopy

import numpy as np
import pytest
import torch

from liveedit.pocket.alignment import photograph_stage
from liveedit.pocket.alignment.photograph_stage import (
    PhotographStageConfig,
    fit_gate,
    fit_projection,
    neighbours,
    probabilities,
    teach_names,
)
from liveedit.pocket.photographs import Photographs, imagenet_classes
from liveedit.training.loop import LoopConfig

CONFIG = PhotographStageConfig()


@pytest.fixture
def photographs() -> Photographs:
    torch.manual_seed(0)
    made = Photographs(narrow=6, channels=12, classes=7, embedding=4, words=2, width=8)
    torch.nn.init.normal_(made.classify.weight)
    return made.requires_grad_(False)


def test_the_gate_keeps_its_distance_from_drawings(photographs):
    torch.manual_seed(1)
    seen, drawn = torch.randn(80, 12) + 1, torch.randn(120, 12) - 1
    fit_gate(photographs, seen, drawn, CONFIG)
    assert photographs.are_photographs(seen).float().mean() > 0.9
    assert photographs.are_photographs(drawn).float().mean() < 0.02
    bold = deepcopy(photographs)
    fit_gate(bold, seen, drawn, CONFIG.model_copy(update={"caution": 0.0}))
    torch.testing.assert_close(bold.gate, photographs.gate)
    assert (photographs.threshold - bold.threshold).item() == pytest.approx(CONFIG.caution)


def test_the_projection_tells_classes_apart_and_knows_no_mean(photographs):
    mean = torch.randn(12)
    fit_projection(photographs, mean)
    assert photographs.project(mean).abs().max() < 1e-5
    weight = photographs.classify.weight - photographs.classify.weight.mean(0)
    kept = (weight @ photographs.project.weight.T).square().sum() / weight.square().sum()
    torch.manual_seed(2)
    drawn = torch.linalg.qr(torch.randn(12, 4)).Q
    assert kept > (weight @ drawn).square().sum() / weight.square().sum() + 0.1


def test_probabilities_are_those_of_the_class_and_of_what_is_like_it(photographs):
    alike = neighbours(photographs.classify.weight)
    assert not (alike == torch.arange(7)[:, None]).any()
    chosen = torch.tensor([3, 0, 5, 3])
    found = probabilities(chosen, alike, CONFIG, np.random.default_rng(0))
    torch.testing.assert_close(found.sum(1), torch.ones(4))
    assert torch.equal(found.argmax(1), chosen)
    assert (found[range(4), chosen] >= CONFIG.clearest - 1e-6).all()


def test_words_are_learned_and_nothing_else_and_make_the_names_likelier(
    tiny_model, processor, tmp_path, monkeypatch
):
    names = dict(list(imagenet_classes().items())[:7])
    monkeypatch.setattr(photograph_stage, "imagenet_classes", lambda: names)
    model = deepcopy(tiny_model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    loop = LoopConfig(steps=40, learning_rate=0.3, warmup=2, weight_decay=0.0, save_every=20)
    config = CONFIG.model_copy(update={"loop": loop, "classes": 7})
    teach_names(model, processor, config, tmp_path)
    rows = (tmp_path / "losses.jsonl").read_text().splitlines()
    answers = [float(row.split('"answer": ')[1].split(",")[0]) for row in rows]
    assert np.mean(answers[-5:]) < np.mean(answers[:5]) - 0.2
    after = model.state_dict()
    changed = [name for name, value in before.items() if not torch.equal(value, after[name])]
    assert changed == ["model.vision_tower.photographs.class_words"]
