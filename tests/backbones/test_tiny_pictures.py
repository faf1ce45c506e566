"""Pictures of as many rows or columns as there are colours are read like all others."""

import logging

import pytest
from PIL import Image

from tests.backbones.families import FAMILIES, tiny


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_picture_of_three_by_three_is_not_ambiguous(family: str, caplog) -> None:
    backbone = tiny(family)
    if not hasattr(backbone.processor, "image_processor"):
        pytest.skip("no image processor")
    with caplog.at_level(logging.WARNING):
        (picture,) = backbone.pictures([[Image.new("RGB", (3, 3), (250, 120, 10))]])[0]
    assert picture.features.isfinite().all()
    assert "ambiguous" not in caplog.text
