from pathlib import Path

import pytest
import torch

from liveedit.errors import BadConfig
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.training.recipes import read_recipe

CONFIGS = Path(__file__).parents[2] / "configs"
# width of the states, trainable parameters in millions and numbers of an edit, as the paper's
# authors have them
PUBLISHED = {
    "blip2-opt-2.7b": (2560, 58.4, 28_672),
    "llava-1.5-7b": (4096, 103.1, 40_960),
    "minigpt4-vicuna-7b": (4096, 100.9, 40_960),
}


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_the_papers_settings(name):
    recipe = read_recipe(CONFIGS / name / "liveedit-paper.yaml")
    width, millions, numbers = PUBLISHED[name]
    training, editor = recipe.training, recipe.training.editor
    assert recipe.edit_layer == 21
    assert (editor.width, editor.heads, editor.rank, editor.vectors) == (1024, 8, 4, 4)
    assert (training.batch, training.loop.learning_rate, training.loop.save_every) == (8, 1e-4, 500)
    assert (training.routing_batch, training.random_words) == (8, 0.0)
    ours = (editor.shared_extractor, editor.unit_features, editor.aligned_slots)
    assert not any(ours)
    weights = ("reliability", "generality", "locality", "hard", "absolute", "relative")
    assert {getattr(training, weight) for weight in weights} == {1.0}
    with torch.device("meta"):
        network = EditorNetwork(editor, width)
    size = sum(one.numel() for one in network.parameters() if one.requires_grad) / 1e6
    assert size == pytest.approx(millions, rel=0.15), (
        "theirs has more layer norms, and a larger sentinel"
    )
    assert 2 * editor.rank * width + 2 * network.features == numbers


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("backbone: a\nedit_layer: 3\nlayer: 3\n", "layer: Extra inputs"),
        ("backbone: a\nedit_layer: 3\ntraining: {editor: {widht: 4}}\n", "did you mean 'width'"),
        ("backbone: a\nedit_layer: three\n", "edit_layer: Input should be a valid integer"),
        ("backbone: a\n", "edit_layer: Field required"),
        ("- a\n", "valid dictionary"),
        ("a: [\n", "cannot be read"),
    ],
)
def test_what_is_not_known_is_refused_and_named(tmp_path, text, said):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(BadConfig, match=said):
        read_recipe(path)


def test_a_recipe_takes_over_what_another_says(tmp_path):
    (tmp_path / "below.yaml").write_text(
        "backbone: a\nedit_layer: 3\ntraining: {batch: 7, loop: {steps: 5, learning_rate: 0.1}}\n"
    )
    path = tmp_path / "above.yaml"
    path.write_text("based_on: below.yaml\ndata: [x.json]\ntraining: {loop: {steps: 9}}\n")
    found = read_recipe(path)
    assert (found.backbone, found.data, found.images) == ("a", ("x.json",), None)
    loop = found.training.loop
    assert (found.training.batch, loop.steps, loop.learning_rate) == (7, 9, 0.1)


@pytest.mark.parametrize("name", ["../below.yaml", "nothing.yaml"])
def test_a_recipe_is_based_on_one_beside_it(tmp_path, name):
    path = tmp_path / "above.yaml"
    path.write_text(f"based_on: {name}\n")
    with pytest.raises(BadConfig, match=r"in the same folder|cannot be read"):
        read_recipe(path)


def test_a_recipe_that_is_not_there(tmp_path):
    with pytest.raises(BadConfig, match=r"none\.yaml cannot be read"):
        read_recipe(tmp_path / "none.yaml")
