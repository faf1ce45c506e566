"""The published files themselves, where they are at hand; their pictures are made up."""

import os
from pathlib import Path

import pytest

from liveedit.data.annotations.audit import audit
from liveedit.data.annotations.check import check_dataset
from liveedit.data.annotations.datasets import DATASETS, recognise
from liveedit.data.annotations.reading import load_rows, read_annotations
from tests.data.annotations.samples import SHARED, make_pictures

pytestmark = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the published annotation files are not in ../shared/data"
)
E_VQA_TRAIN = "easy-edit-mm/vqa/vqa_train.json"
E_IC_TRAIN = "easy-edit-mm/caption/caption_train_edit.json"
E_IC_EVALUATION = "easy-edit-mm/caption/caption_eval_edit.json"
VLKEB_TRAIN = "VLKEB/train.json"
VLKEB_ONE_HOP = "VLKEB/eval_edit_onehop.json"
FILES = [
    ("e-vqa", E_VQA_TRAIN, 6345),
    ("e-ic", E_IC_TRAIN, 2849),
    ("e-ic", E_IC_EVALUATION, 1000),
    ("vlkeb", VLKEB_TRAIN, 5000),
    ("vlkeb", VLKEB_ONE_HOP, 1278),
]


@pytest.mark.parametrize(("name", "file", "count"), FILES)
def test_read_whole_without_losing_a_row(name: str, file: str, count: int) -> None:
    rows = load_rows(SHARED / file)
    read = read_annotations(SHARED / file, DATASETS[name])
    assert len(read) == len(rows) == count == DATASETS[name].published_rows[Path(file).name]
    for annotation, row in zip(read, rows, strict=True):
        assert annotation.prompt == row["src"]
        assert annotation.target == row["alt"].strip()
        assert [str(picture) for picture in annotation.pictures] == [
            row["image"],
            row["image_rephrase"],
            row["m_loc"],
        ]
        assert annotation.image_locality.answers == (row["m_loc_a"],)
        assert row["loc"] in (
            annotation.text_locality.question,
            f"nq question: {annotation.text_locality.question}",
        )
        assert len(annotation.portability) == len(row.get("port_new", []))
        assert len(annotation.concepts) == (name == "vlkeb")
    assert recognise(rows, file).name == name


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """Pictures under every name in the two evaluation files."""
    rows = load_rows(SHARED / E_IC_EVALUATION) + load_rows(SHARED / VLKEB_ONE_HOP)
    return make_pictures(tmp_path_factory.mktemp("published") / "images", rows)


@pytest.mark.parametrize(
    ("name", "file", "pictures"), [("e-ic", E_IC_EVALUATION, 2971), ("vlkeb", VLKEB_ONE_HOP, 3467)]
)
def test_check_with_all_pictures_and_without_two(name, file, pictures, images: Path) -> None:
    report = check_dataset(DATASETS[name], SHARED / file, images)
    assert report.clean
    assert report.pictures == pictures
    first, second = (row["image"] for row in load_rows(SHARED / file)[:2])
    (images / first).unlink()
    (images / second).unlink()
    (images / second).write_bytes(b"no picture")
    try:
        report = check_dataset(DATASETS[name], SHARED / file, images)
    finally:
        (images / second).unlink()
        for picture in (first, second):
            os.link(images / "first.jpg", images / picture)
    assert [(bad.path, bad.rows[0]) for bad in report.missing] == [(first, 0)]
    assert [(bad.path, bad.rows[0]) for bad in report.unreadable] == [(second, 1)]


@pytest.mark.parametrize(
    ("name", "train", "evaluation", "counts"),
    [
        # E-IC: no pair of the corrections, yet each image locality probe (docs/datasets.md)
        ("e-ic", E_IC_TRAIN, E_IC_EVALUATION, (0, 1000, 0, None, 1000, 0)),
        ("vlkeb", VLKEB_TRAIN, VLKEB_ONE_HOP, (2, 911, 2, 454, 841, 0)),
    ],
)
def test_what_the_public_sets_share(name, train, evaluation, counts) -> None:
    found = audit(
        read_annotations(SHARED / train, DATASETS[name]),
        read_annotations(SHARED / evaluation, DATASETS[name]),
    )
    assert tuple(found.counts.values()) == counts
