"""Look-alikes are found once for a model and photographs."""

import json
from pathlib import Path

import pytest
import torch

from liveedit.backbones import picture_features
from liveedit.data.photo_edit import look_alikes
from liveedit.data.photo_edit.folder import read_photo_folder
from liveedit.data.photo_edit.look_alikes import nearest_classes
from tests.photographs import photo_folder, picture

THINGS = ("anchor", "apple", "clock", "cup", "flute")


def test_they_are_kept_and_found_anew_for_other_photographs(
    backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVEEDIT_CACHE", str(tmp_path / "cache"))
    root = photo_folder(tmp_path / "photos", things=THINGS)
    looked = []

    def counted(model, pictures):
        looked.append(len(pictures))
        return picture_features.encode_pictures(model, pictures)

    monkeypatch.setattr(look_alikes, "encode_pictures", counted)
    first = nearest_classes(backbone, read_photo_folder(root))
    assert sum(looked) == 10
    assert nearest_classes(backbone, read_photo_folder(root)) == first
    assert sum(looked) == 10
    (kept,) = (tmp_path / "cache" / "look-alikes").iterdir()
    assert json.loads(kept.read_text()) == first

    for number in range(2):  # a cup that looks like the anchor
        picture(number).resize((60, 60)).save(root / "cup" / f"{number}.jpg")
    other = nearest_classes(backbone, read_photo_folder(root))
    assert sum(looked) == 20
    assert other["cup"][0] == "anchor"

    with torch.no_grad():  # another model
        next(backbone.model.parameters()).add_(1e-3)
    try:
        nearest_classes(backbone, read_photo_folder(root))
    finally:
        with torch.no_grad():
            next(backbone.model.parameters()).sub_(1e-3)
    assert sum(looked) == 30
