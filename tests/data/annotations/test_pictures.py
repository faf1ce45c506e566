import os
from pathlib import Path, PurePosixPath

import pytest
from PIL import Image

from liveedit.data.annotations.pictures import open_picture, picture_problem
from liveedit.errors import BadImage


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP"])
def test_pictures_that_open(format_: str, tmp_path: Path) -> None:
    file = tmp_path / "picture.jpg"  # the content decides, not the name
    Image.new("RGB", (3, 2), "blue").save(file, format_)
    assert picture_problem(file) is None
    opened = open_picture(PurePosixPath("picture.jpg"), tmp_path)
    assert (opened.size, opened.mode) == ((3, 2), "RGB")


def test_a_missing_picture(tmp_path: Path) -> None:
    assert picture_problem(tmp_path / "no.jpg") == "is missing"
    with pytest.raises(BadImage, match="does not exist"):
        open_picture(PurePosixPath("no.jpg"), tmp_path)


@pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8\xff", b"GIF89a"])
def test_files_that_are_no_pictures(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "picture.jpg"
    file.write_bytes(content)
    assert picture_problem(file) == "is no PNG, JPEG or WEBP picture"


def test_another_format(tmp_path: Path) -> None:
    Image.new("RGB", (3, 2)).save(tmp_path / "picture.jpg", "GIF")
    assert picture_problem(tmp_path / "picture.jpg") == "is no PNG, JPEG or WEBP picture"


def test_a_damaged_picture(tmp_path: Path) -> None:
    file = tmp_path / "picture.png"
    Image.new("RGB", (30, 20), "blue").save(file)
    content = bytearray(file.read_bytes())
    content[45] ^= 1  # in the compressed pixels, so their checksum is wrong
    file.write_bytes(content)
    assert (picture_problem(file) or "").startswith("cannot be opened (")


def test_more_pixels_than_a_correction_may_have(tmp_path: Path) -> None:
    Image.new("1", (8000, 5001)).save(tmp_path / "large.png")
    assert picture_problem(tmp_path / "large.png") == "has more than 40 million pixels"


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    assert picture_problem(tmp_path) == "is no file"
    os.mkfifo(tmp_path / "pipe.jpg")
    assert picture_problem(tmp_path / "pipe.jpg") == "is no file"


def test_a_name_that_no_disk_can_hold(tmp_path: Path) -> None:
    assert picture_problem(tmp_path / ("x" * 300)) == "cannot be opened (File name too long)"
