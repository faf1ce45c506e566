"""Models with an untrained editor whose experts are felt."""

import pytest
from PIL import Image

from liveedit.backbones.llava import LlavaBackbone
from liveedit.editor import EditedModel
from tests.editor.models import felt_model


@pytest.fixture
def model(backbone: LlavaBackbone, pictures: list[Image.Image]) -> EditedModel:
    """Every expert is let through."""
    return felt_model(backbone, pictures)


@pytest.fixture
def edited(model: EditedModel, pictures: list[Image.Image]) -> EditedModel:
    model.edit(pictures[0], "What is this?", "a violet")
    model.edit(pictures[1], "Where is it?", "in Rome")
    return model
