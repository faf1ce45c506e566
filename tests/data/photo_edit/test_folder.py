import json
from pathlib import Path

import pytest

from liveedit.data.photo_edit.folder import read_photo_folder
from liveedit.errors import BadAnnotations
from tests.photographs import photo_folder, picture


def test_a_folder_for_each_class(tmp_path: Path) -> None:
    root = photo_folder(tmp_path / "photos", things=("golden_retriever", "cup"))
    (root / "cup" / "notes.txt").write_text("not a picture")
    (root / "cup" / "deeper").mkdir()
    picture(9).save(root / "cup" / "deeper" / "third.PNG")
    found = read_photo_folder(root)
    assert {name: len(files) for name, files in found.classes.items()} == {
        "cup": 3, "golden retriever": 2
    }  # fmt: skip
    assert found.bad == ()
    assert found.single == ()
    assert list(read_photo_folder(root, at_least=3).classes) == ["cup"]


@pytest.mark.parametrize("field", ["file", "file_name"])
def test_one_folder_with_a_list(tmp_path: Path, field: str) -> None:
    rows = [{field: f"{at}.jpg", "label": ("a_cup", "A cup", "fan")[at]} for at in range(3)]
    for at in range(3):
        picture(at).save(tmp_path / f"{at}.jpg")
    (tmp_path / "list.jsonl").write_text("".join(json.dumps(row) + "\n\n" for row in rows))
    found = read_photo_folder(tmp_path)
    assert {name: len(files) for name, files in found.classes.items()} == {"a cup": 2, "fan": 1}
    assert found.single == ("fan",)


def test_what_cannot_be_opened_is_left_out_and_named(tmp_path: Path) -> None:
    root = photo_folder(tmp_path / "photos", things=("cup", "fan"))
    (root / "cup" / "0.jpg").write_bytes(b"no picture")
    whole = (root / "fan" / "0.jpg").read_bytes()
    (root / "fan" / "empty.jpg").write_bytes(whole[:20])
    found = read_photo_folder(root)
    assert {Path(bad.path).as_posix() for bad in found.bad} == {"cup/0.jpg", "fan/empty.jpg"}
    assert found.single == ("cup",)
    assert "cup/0.jpg is no" in str(found.bad[0])


def test_the_same_picture_twice_is_left_out_and_named(tmp_path: Path) -> None:
    root = photo_folder(tmp_path / "photos", things=("cup", "fan", "flute"))
    (root / "fan" / "0.jpg").write_bytes((root / "cup" / "0.jpg").read_bytes())
    (root / "flute" / "again.jpg").write_bytes((root / "flute" / "1.jpg").read_bytes())
    found = read_photo_folder(root)
    told = sorted(str(bad) for bad in found.bad)
    assert told == [
        "fan/0.jpg is the same picture as cup/0.jpg of class 'cup'",
        "flute/again.jpg is the same picture as flute/1.jpg of class 'flute'",
    ]
    assert found.single == ("fan",)


def test_one_file_listed_under_two_classes(tmp_path: Path) -> None:
    for at in range(2):
        picture(at).save(tmp_path / f"{at}.jpg")
    rows = [("0.jpg", "cup"), ("1.jpg", "fan"), ("0.jpg", "fan")]
    lines = [json.dumps({"file_name": file, "label": label}) + "\n" for file, label in rows]
    (tmp_path / "list.jsonl").write_text("".join(lines))
    found = read_photo_folder(tmp_path)
    assert [str(bad) for bad in found.bad] == ["0.jpg is the same picture as 0.jpg of class 'cup'"]
    assert found.single == ("cup", "fan")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda root: root.rmdir(), "is no folder"),
        (lambda root: None, "holds no photographs by class"),
        (lambda root: picture(0).save(root / "loose.jpg"), "a folder for each class"),
        (lambda root: (root / "a.jsonl").write_text('{"file": 3}\n'), "line 1: should have"),
        (lambda root: (root / "a.jsonl").write_text("[1]\n"), "line 1: should have"),
        (
            lambda root: (root / "a.jsonl").write_text('{"file": "../x.jpg", "label": "x"}\n'),
            "leads out of the folder",
        ),
        (
            lambda root: [(root / f"{name}.jsonl").write_text("") for name in "ab"],
            "several lists",
        ),
    ],
)
def test_what_is_no_folder_of_photographs_is_told(tmp_path: Path, make, told: str) -> None:
    root = tmp_path / "photos"
    root.mkdir()
    make(root)
    with pytest.raises(BadAnnotations, match=told):
        read_photo_folder(root)


def test_too_few_photographs_everywhere(tmp_path: Path) -> None:
    with pytest.raises(BadAnnotations, match="no class"):
        read_photo_folder(photo_folder(tmp_path / "photos"), at_least=9)
