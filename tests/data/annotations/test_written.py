"""emoji-edit as files is the same corrections, pixel by pixel."""

import json

import pytest
from PIL import Image, ImageChops

from liveedit.data.annotations.check import check_dataset
from liveedit.data.annotations.datasets import dataset_named
from liveedit.data.annotations.written import write_emoji_edit
from liveedit.data.corrections_file import read_corrections
from liveedit.data.emoji_edit.corrections import evaluation_set
from liveedit.data.emoji_edit.scene import render

COUNT = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    assert write_emoji_edit("evaluation", folder, COUNT) == COUNT
    return folder


def test_the_corrections_can_be_imported(folder) -> None:
    stated, bad = read_corrections(folder / "corrections.jsonl", folder)
    assert not bad
    cases = evaluation_set(COUNT)
    assert [(one.prompt, one.target) for one in stated] == [
        (case.question.text, case.target) for case in cases
    ]
    for one, case in zip(stated, cases, strict=True):
        with Image.open(one.images[0]) as picture:
            assert ImageChops.difference(picture, render(case.scene)).getbbox() is None


def test_the_probes_have_the_format_of_e_vqa(folder) -> None:
    report = check_dataset(dataset_named("e-vqa"), folder / "emoji-edit.json", folder)
    assert report.clean
    rows = json.loads((folder / "emoji-edit.json").read_text())
    assert [row["m_loc_q"] for row in rows] == [
        case.other_question.text for case in evaluation_set(COUNT)
    ]


def test_writing_again_changes_nothing(folder) -> None:
    def content() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    before = content()
    write_emoji_edit("evaluation", folder, COUNT)
    assert content() == before
