import pytest
import torch
from torch.nn import functional as F
from transformers import AutoConfig, AutoModel

from liveedit.errors import MissingPart
from liveedit.pocket import assembly
from liveedit.pocket.tower import (
    EfficientNetLiteConfig,
    EfficientNetLiteModel,
    fold_published_weights,
)

SMALL = {"hidden_size": 40, "image_size": 64, "pool": 1, "width": 0.5, "depth": 0.5}


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    try:
        path = assembly._part(*assembly._TOWER)
    except MissingPart as missing:
        pytest.skip(str(missing))
    return torch.load(path, weights_only=True)


@torch.no_grad()
@pytest.mark.parametrize("size", [64, 256])
def test_equals_the_reference_with_the_published_weights(published, size):
    reference = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet.from_name(
        "efficientnet-lite2", image_size=size
    )
    reference.load_state_dict(published)
    tower = EfficientNetLiteModel(EfficientNetLiteConfig()).eval()
    tower.load_state_dict(fold_published_weights(published))
    torch.manual_seed(0)
    pixels = torch.rand(2, 3, size, size) * 2 - 1

    expected = reference.eval().extract_features(pixels)
    found = F.relu6(tower.head(tower.cells(pixels)))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)

    side = size // 64
    blocks = expected.unflatten(3, (side, 2)).unflatten(2, (side, 2)).mean((3, 5))
    tokens = F.layer_norm(blocks.flatten(2).transpose(1, 2), (1280,))
    torch.testing.assert_close(tower(pixels).last_hidden_state, tokens, atol=1e-3, rtol=0)


@torch.no_grad()
def test_tokens_are_the_squares_of_the_picture_row_after_row():
    torch.manual_seed(0)
    config = EfficientNetLiteConfig(**SMALL | {"image_size": 256, "pool": 2})
    assert config.patch_size == 64
    tower = EfficientNetLiteModel(config).eval()
    for module in tower.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
    plain = torch.zeros(1, 3, 256, 256)
    marked = plain.clone()
    marked[..., 64:128, 192:256] = 1  # second row, fourth column
    changes = (tower(marked).last_hidden_state - tower(plain).last_hidden_state).norm(dim=-1)
    assert changes.shape == (1, 16)
    assert changes.argmax() == 4 + 3


@torch.no_grad()
def test_where_llava_looks_for_the_tokens():
    tower = EfficientNetLiteModel(EfficientNetLiteConfig(**SMALL)).eval()
    output = tower(torch.rand(2, 3, 64, 64))
    assert output.last_hidden_state.shape == (2, 4, 40)
    assert output.hidden_states[-1] is output.last_hidden_state
    torch.testing.assert_close(output.pooler_output, output.last_hidden_state.mean(1))


def test_config_survives_saving(tmp_path):
    config = EfficientNetLiteConfig(**SMALL)
    config.save_pretrained(tmp_path)
    loaded = AutoConfig.from_pretrained(tmp_path)
    assert isinstance(loaded, EfficientNetLiteConfig)
    assert {key: getattr(loaded, key) for key in SMALL} == SMALL
    assert loaded.patch_size == 32


@torch.no_grad()
def test_tower_survives_saving(tmp_path):
    torch.manual_seed(0)
    tower = EfficientNetLiteModel(EfficientNetLiteConfig(**SMALL)).eval()
    tower.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path)
    pixels = torch.rand(1, 3, 64, 64)
    assert isinstance(loaded, EfficientNetLiteModel)
    assert torch.equal(loaded(pixels).last_hidden_state, tower(pixels).last_hidden_state)


def test_defaults_are_those_of_lite2():
    config = EfficientNetLiteConfig()
    assert (config.width, config.depth, config.hidden_size) == (1.1, 1.2, 1280)
    assert config.image_size % config.patch_size == 0
