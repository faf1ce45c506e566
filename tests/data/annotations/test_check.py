from pathlib import Path

import pytest

from liveedit.data.annotations.check import BadPicture, check_dataset
from liveedit.data.annotations.datasets import E_IC, E_VQA, VLKEB
from liveedit.errors import BadAnnotations
from tests.data.annotations.samples import (
    e_ic_row,
    e_vqa_row,
    make_pictures,
    one_hop,
    vlkeb_row,
    write,
)


@pytest.mark.parametrize(
    ("dataset", "rows"),
    [
        (E_VQA, [e_vqa_row(0), e_vqa_row(1)]),
        (E_IC, [e_ic_row(0), e_ic_row(1)]),
        (VLKEB, [vlkeb_row(0, port_new=[one_hop()]), vlkeb_row(1)]),
    ],
)
def test_a_whole_dataset(dataset, rows, tmp_path: Path) -> None:
    images = make_pictures(tmp_path / "images", rows)
    report = check_dataset(dataset, write(tmp_path / "some.json", rows), images)
    assert report.clean
    assert (report.dataset, report.rows, report.pictures) == (dataset.name, 2, 6)
    assert report.published_rows is None


def test_a_missing_picture_and_one_that_does_not_open(tmp_path: Path) -> None:
    rows = [e_vqa_row(0), e_vqa_row(1, image=e_vqa_row(0)["image"]), e_vqa_row(2)]
    images = make_pictures(tmp_path / "images", rows)
    (images / rows[0]["image"]).unlink()
    (images / rows[2]["m_loc"]).unlink()
    (images / rows[2]["m_loc"]).write_bytes(b"no picture")
    report = check_dataset(E_VQA, write(tmp_path / "some.json", rows), images)
    assert not report.clean
    assert report.pictures == 8
    assert report.missing == (BadPicture(path=rows[0]["image"], problem="is missing", rows=(0, 1)),)
    assert report.unreadable == (
        BadPicture(path=rows[2]["m_loc"], problem="is no PNG, JPEG or WEBP picture", rows=(2,)),
    )


def test_bad_rows_are_all_named_and_the_others_looked_at(tmp_path: Path) -> None:
    rows = [e_vqa_row(0), e_vqa_row(1, alt=""), e_vqa_row(2, src=None)]
    images = make_pictures(tmp_path / "images", rows[:1])
    report = check_dataset(E_VQA, write(tmp_path / "some.json", rows), images)
    assert not report.clean
    assert [bad.row for bad in report.rejected] == [1, 2]
    assert report.rows == 3
    assert (report.pictures, report.missing) == (3, ())


def test_fewer_rows_than_were_published(tmp_path: Path) -> None:
    rows = [e_ic_row(0)]
    images = make_pictures(tmp_path / "images", rows)
    report = check_dataset(E_IC, write(tmp_path / "caption_eval_edit.json", rows), images)
    assert (report.rows, report.published_rows) == (1, 1000)
    assert not report.right_count
    assert not report.clean
    assert report.rejected == report.missing == report.unreadable == ()


def test_no_folder_of_pictures(tmp_path: Path) -> None:
    file = write(tmp_path / "some.json", [e_vqa_row()])
    for images in (tmp_path / "no", file):
        with pytest.raises(BadAnnotations, match="give the folder of pictures"):
            check_dataset(E_VQA, file, images)
