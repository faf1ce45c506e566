from pathlib import Path

import pytest

from liveedit.data.annotations import emoji
from liveedit.data.annotations.emoji import emoji_annotations
from liveedit.data.annotations.sources import open_source
from liveedit.errors import BadAnnotations, UnknownDataset
from tests.data.annotations.samples import e_ic_row, vlkeb_row, write


def test_a_file_with_its_rows_as_they_are(tmp_path: Path) -> None:
    rows = [e_ic_row(0, alt=" A cafe. "), e_ic_row(1)]
    source = open_source(str(write(tmp_path / "some.json", rows)), "train")
    assert source.dataset == "e-ic"
    assert source.annotations[0].target == "A cafe."
    assert source.original == rows


def test_a_stated_dataset_goes_before_the_fields(tmp_path: Path) -> None:
    file = str(write(tmp_path / "some.json", [vlkeb_row()]))
    assert open_source(file, "train").dataset == "vlkeb"
    assert open_source(file, "train", "e-vqa").dataset == "e-vqa"
    with pytest.raises(UnknownDataset):
        open_source(file, "train", "e-vqqa")


def test_a_file_with_a_bad_row(tmp_path: Path) -> None:
    file = write(tmp_path / "some.json", [e_ic_row(0), e_ic_row(1, alt="")])
    with pytest.raises(BadAnnotations, match="row 1"):
        open_source(str(file), "evaluation")


def test_emoji_edit(monkeypatch) -> None:
    monkeypatch.setattr(emoji, "_SIZES", {"train": 3, "validation": 2, "evaluation": 2})
    source = open_source("emoji-edit", "evaluation")
    assert source.dataset == "emoji-edit"
    assert source.annotations == emoji_annotations("evaluation")
    assert len(source.annotations) == 2
    assert len(open_source("emoji-edit", "train").annotations) == 3
    assert source.original is None
