import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F
from transformers import AutoConfig, AutoModel

from liveedit.errors import MissingPart
from liveedit.pocket import assembly
from liveedit.pocket.efficientnet import EfficientNetLite, fold_published_weights
from liveedit.pocket.photographs import imagenet_classes, published_classifier
from liveedit.pocket.slots import THINGS, log_likelihood
from liveedit.pocket.tower import PocketVisionConfig, PocketVisionModel

SMALL = {
    "hidden_size": 40, "image_size": 64, "width": 0.5, "depth": 0.5, "channels": 24, "context": 16,
    "embedding": 8, "entries": 6, "colours": 3, "words": 2, "classes": 7,
}  # fmt: skip


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    try:
        path = assembly._part(*assembly._TOWER)
    except MissingPart as missing:
        pytest.skip(str(missing))
    return torch.load(path, weights_only=True)


@pytest.fixture
def tower() -> PocketVisionModel:
    torch.manual_seed(0)
    tower = PocketVisionModel(PocketVisionConfig(**SMALL)).eval()
    for module in tower.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
    torch.nn.init.normal_(tower.slots.thing_words)
    torch.nn.init.normal_(tower.slots.colour_words)
    for parameter in (tower.photographs.class_words, *tower.photographs.project.parameters()):
        torch.nn.init.normal_(parameter)
    torch.nn.init.kaiming_normal_(tower.photographs.head.weight)
    return tower.requires_grad_(False)


@torch.no_grad()
@pytest.mark.parametrize("size", [64, 256])
def test_equals_the_reference_with_the_published_weights(published, size):
    reference = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet.from_name(
        "efficientnet-lite2", image_size=size
    )
    reference.load_state_dict(published)
    ours = EfficientNetLite(width=1.1, depth=1.2, channels=1280).eval()
    ours.load_state_dict(fold_published_weights(published))
    torch.manual_seed(0)
    pixels = torch.rand(2, 3, size, size) * 2 - 1
    expected = reference.eval().extract_features(pixels).flatten(2).transpose(1, 2)
    torch.testing.assert_close(ours.widen(ours.cells(pixels)), expected, atol=1e-4, rtol=0)


@torch.no_grad()
def test_cells_are_the_squares_of_the_picture_row_after_row(tower):
    plain = torch.zeros(1, 3, 256, 256)
    marked = plain.clone()
    marked[..., 64:128, 192:256] = 1  # rows 2 and 3, columns 6 and 7
    changes = (tower.backbone.cells(marked) - tower.backbone.cells(plain)).norm(dim=-1)
    assert changes.shape == (1, 64)
    share = (changes / changes.sum()).view(8, 8)
    places = torch.arange(8.0)
    assert share.sum(1) @ places < 3.2, "rows: the upper half"
    assert share.sum(0) @ places > 3.8, "columns: the right half"


def test_a_thing_is_the_mean_of_the_cells_assigned_to_it(tower):
    narrow, wide = torch.randn(1, 4, tower.backbone.narrow), torch.rand(1, 4, 24)
    tower.slots.assign.weight.zero_()
    tower.slots.assign.bias.copy_(torch.tensor([-50.0, 50.0, -50.0, -50.0]))
    seen = tower.slots(narrow, wide)
    assert seen.assignment.argmax(-1).tolist() == [[1, 1, 1, 1]]
    # 0.3 of a cell is empty, so that a thing without cells is the empty one
    mean = F.layer_norm(wide.sum(1) / 4.3, (24,))
    torch.testing.assert_close(seen.pooled[:, 1], mean)
    assert seen.pooled[:, 2:].abs().max() < 1e-6
    torch.testing.assert_close(seen.embeddings[:, 0], tower.slots.project(mean))
    assert seen.present[0, 0] > 0.99
    assert (seen.present[0, 1:] < 0.01).all()


def test_likelihood_is_that_of_the_mixture():
    torch.manual_seed(0)
    points, means = torch.randn(2, 3, 8), torch.randn(2, 5, 8)
    variances = torch.rand(2, 5, 8) + 0.5
    hands = torch.distributions.Normal(means, variances.sqrt())
    densities = hands.log_prob(points[:, :, None, None]).sum(-1)
    expected = densities.logsumexp(2) + 4 * math.log(2 * math.pi)
    torch.testing.assert_close(log_likelihood(points, means, variances), expected)


def test_tokens_say_the_words_of_what_is_seen(tower):
    seen = tower.look(torch.randn(1, 4, tower.backbone.narrow))
    things = torch.full_like(seen.things, -1e4)
    things[0, range(THINGS), [4, 0, 1]] = 0
    certain = replace(
        seen,
        things=things,
        present=torch.tensor([[1.0, 1.0, 0.0]]),
        ground=torch.tensor([[-1e4, 0, -1e4]]),
    )
    tokens = tower.slots.tokens(certain)[0]
    assert len(tokens) == tower.config.image_tokens == 1 + 3 * 3
    assert torch.equal(tokens[0], tower.slots.colour_words[1])
    for thing, entry in enumerate([4, 0]):
        own = tokens[1 + 3 * thing : 4 + 3 * thing]
        unit = F.normalize(seen.embeddings[0, thing], dim=0)
        torch.testing.assert_close(own[0], tower.slots.open(unit))
        assert torch.equal(own[1:], tower.slots.thing_words[entry])
    assert not tokens[7].any()
    assert torch.equal(tokens[8:], tower.slots.thing_words[-1]), "the entry for nothing"


@torch.no_grad()
def test_photographs_are_named_by_the_classifier_and_drawings_stay_as_they_are(tower):
    cells = torch.rand(2, 4, tower.backbone.narrow)
    pooled = tower.photographs.pooled(cells)
    drawings = tower.tokens(cells)
    assert torch.equal(drawings, tower.slots.tokens(tower.look(cells))), "the gate is not fitted"
    apart = pooled[0] - pooled[1]  # the first is a photograph
    tower.photographs.gate.copy_(apart)
    tower.photographs.threshold.copy_(pooled.mean(0) @ apart)
    tower.photographs.classify.weight.zero_()
    tower.photographs.classify.bias.copy_(torch.tensor([0, 0, 0, 0, 0, 50.0, 0]))
    tokens = tower.tokens(cells)
    assert torch.equal(tokens[1], drawings[1])
    assert torch.equal(tokens[0, 0], drawings[0, 0]), "the colour of the ground"
    unit = F.normalize(tower.photographs.project(pooled[0]), dim=0)
    torch.testing.assert_close(tokens[0, 1], tower.slots.open(unit))
    torch.testing.assert_close(tokens[0, 2:4], tower.photographs.class_words[5])
    for thing in (1, 2):
        other = tokens[0, 1 + 3 * thing : 4 + 3 * thing]
        assert not other[0].any()
        assert torch.equal(other[1:], tower.slots.thing_words[-1])


@torch.no_grad()
def test_the_classifier_is_the_published_one(published):
    reference = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet.from_name(
        "efficientnet-lite2", image_size=256
    )
    reference.load_state_dict(published)
    tower = PocketVisionModel(PocketVisionConfig()).eval()
    tower.backbone.load_state_dict(fold_published_weights(published))
    tower.photographs.load_state_dict(published_classifier(published), strict=False)
    torch.manual_seed(0)
    pixels = torch.rand(2, 3, 256, 256) * 2 - 1
    pooled = tower.photographs.pooled(tower.backbone.cells(pixels))
    expected = reference.eval()(pixels)
    torch.testing.assert_close(tower.photographs.classify(pooled), expected, atol=1e-3, rtol=0)


def test_imagenets_classes_are_in_the_classifiers_order():
    classes = imagenet_classes()
    assert len(classes) == 1000
    assert list(classes) == sorted(classes)
    assert classes["n01440764"] == ("tench", "Tinca tinca")
    assert all(name and name == name.strip() for names in classes.values() for name in names)


@torch.no_grad()
def test_where_llava_looks_for_the_tokens(tower):
    output = tower(torch.rand(2, 3, 64, 64))
    assert output.last_hidden_state.shape == (2, 10, 40)
    assert output.hidden_states[-1] is output.last_hidden_state
    torch.testing.assert_close(output.pooler_output, output.last_hidden_state.mean(1))


def test_config_survives_saving(tmp_path):
    config = PocketVisionConfig(**SMALL)
    config.save_pretrained(tmp_path)
    loaded = AutoConfig.from_pretrained(tmp_path)
    assert isinstance(loaded, PocketVisionConfig)
    assert {key: getattr(loaded, key) for key in SMALL} == SMALL


@torch.no_grad()
def test_tower_survives_saving(tmp_path, tower):
    tower.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path)
    pixels = torch.rand(1, 3, 64, 64)
    assert isinstance(loaded, PocketVisionModel)
    assert torch.equal(loaded(pixels).last_hidden_state, tower(pixels).last_hidden_state)


def test_defaults_are_those_of_lite2():
    config = PocketVisionConfig()
    assert (config.width, config.depth, config.channels) == (1.1, 1.2, 1280)
    assert config.image_tokens == 19
