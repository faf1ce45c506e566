"""Corrections in folders of `datasets` and in Parquet: what is read, refused and named."""

import builtins
import json
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict, Features, Image, List, Value

from liveedit.correction import open_image
from liveedit.data.corrections_file import read_corrections
from liveedit.data.dataset_folder import is_dataset
from liveedit.errors import BadImport, MissingExtra
from tests.images import encoded
from tests.photographs import corrections_file, photo_folder, picture


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("LIVEEDIT_CACHE", str(tmp_path / "cache"))


def dataset(count: int = 4, **columns: list[object]) -> Dataset:
    """Pictures in the table, and columns that a corrections file knows."""
    rows = {
        "image": [picture(at) for at in range(count)],
        "prompt": [("Who made this?", "What colour is the lid?")[at % 2] for at in range(count)],
        "target": [f"answer {at}" for at in range(count)],
        "rephrasings": [["By whom?"], None, [], ["Who did?", "Whose is it?"]][:count],
        "other_images": [[picture(50)], None, [], [picture(51)]][:count],
    }
    kinds = {
        "image": Image(), "prompt": Value("string"), "target": Value("string"),
        "rephrasings": List(Value("string")), "other_images": List(Image()),
    }  # fmt: skip
    kinds |= {name: Value("string") for name in columns}
    return Dataset.from_dict({**rows, **columns}, features=Features(kinds))


def saved(folder: Path, form: str, some: Dataset) -> Path:
    """Written in a form that people have."""
    match form:
        case "save_to_disk":
            some.save_to_disk(folder)
        case "one split":
            DatasetDict({"train": some}).save_to_disk(folder)
        case "parquet":
            some.to_parquet(folder.with_suffix(".parquet"))
            return folder.with_suffix(".parquet")
        case "parquet folder":
            for part in range(2):
                file = folder / "data" / f"train-{part:05}-of-00002.parquet"
                file.parent.mkdir(parents=True, exist_ok=True)
                some.shard(2, part, contiguous=True).to_parquet(file)
    return folder


FORMS = ("save_to_disk", "one split", "parquet", "parquet folder")


@pytest.mark.parametrize("form", FORMS)
def test_every_form_holds_the_same(tmp_path: Path, form: str) -> None:
    where = saved(tmp_path / "data", form, dataset())
    assert is_dataset(where)
    rows, bad = read_corrections(where)
    assert bad == []
    assert [row.line for row in rows] == [1, 2, 3, 4]
    assert [row.target for row in rows] == [f"answer {at}" for at in range(4)]
    assert [len(row.rephrasings) for row in rows] == [1, 0, 0, 2]
    assert [len(row.other_images) for row in rows] == [1, 0, 0, 1]
    for at, row in enumerate(rows):
        assert open_image(row.images[0]).tobytes() == picture(at).tobytes()


def test_a_table_that_was_sorted_and_cut(tmp_path: Path) -> None:
    dataset().sort("target", reverse=True).select([0, 2]).save_to_disk(tmp_path / "some")
    rows, _ = read_corrections(tmp_path / "some")
    assert [row.target for row in rows] == ["answer 3", "answer 1"]


def test_pictures_beside_the_table(tmp_path: Path) -> None:
    folder = tmp_path / "some"
    rows = {"image": ["a.png", "b.png"], "prompt": ["?", "?"], "target": ["x", "y"]}
    Dataset.from_dict(rows).save_to_disk(folder)
    picture(1).save(folder / "a.png")
    good, bad = read_corrections(folder)
    assert good[0].images == (folder / "a.png",)
    assert bad == [f"row 2: there is no picture {folder / 'b.png'}"]


def test_pictures_are_kept_once_and_never_by_half(tmp_path: Path) -> None:
    where = saved(tmp_path / "data", "parquet", dataset())
    read_corrections(where)
    kept = sorted((tmp_path / "cache" / "pictures").iterdir())
    assert len(kept) == 6
    before = [file.stat().st_mtime_ns for file in kept]
    read_corrections(where)
    assert [file.stat().st_mtime_ns for file in kept] == before
    assert not [file for file in kept if file.suffix == ".part"]


def test_bad_rows_are_named(tmp_path: Path) -> None:
    cut = encoded(picture(7), "JPEG")
    rows = {
        "image": [{"bytes": cut[:400], "path": None}, {"bytes": cut, "path": None}, None],
        "prompt": ["Who?", "", "Who?"],
        "target": ["a", "b", "c"],
    }
    kinds = {"image": Image(), "prompt": Value("string"), "target": Value("string")}
    Dataset.from_dict(rows, features=Features(kinds)).save_to_disk(tmp_path / "some")
    good, bad = read_corrections(tmp_path / "some")
    assert [(row.line, row.images) for row in good] == [(3, ())]
    assert len(bad) == 2
    assert bad[0].startswith("row 1: cannot be read: the picture cannot be decoded")
    assert bad[1].startswith("row 2: the prompt is empty")
    assert len(list((tmp_path / "cache" / "pictures").iterdir())) == 1, "no half picture"


def test_two_rows_with_one_id(tmp_path: Path) -> None:
    where = saved(tmp_path / "data", "parquet", dataset(id=["7", "8", "7", "9"]))
    good, bad = read_corrections(where)
    assert [row.id for row in good] == ["7", "8", "9"]
    assert bad == ["row 3: its id '7' is that of row 1"]
    file = corrections_file(tmp_path / "lines", 2, id=5)
    assert read_corrections(file)[1] == ["line 2: its id '5' is that of line 1"]


def test_columns_that_are_not_known_are_left_aside_and_named(tmp_path: Path, caplog) -> None:
    where = saved(tmp_path / "data", "save_to_disk", dataset(mood=["good"] * 4))
    assert len(read_corrections(where)[0]) == 4
    assert "columns left aside: mood" in caplog.text


def _several(folder: Path) -> None:
    DatasetDict({"train": dataset(), "test": dataset()}).save_to_disk(folder)


def _several_files(folder: Path) -> None:
    folder.mkdir()
    for name in ("train", "test"):
        dataset().to_parquet(folder / f"{name}-00000-of-00001.parquet")


def _no_target(folder: Path) -> None:
    dataset().remove_columns("target").save_to_disk(folder)


def _cut(folder: Path) -> None:
    dataset().save_to_disk(folder)
    (table,) = folder.glob("*.arrow")
    table.write_bytes(table.read_bytes()[:500])


def _gone(folder: Path) -> None:
    dataset().save_to_disk(folder)
    next(folder.glob("*.arrow")).unlink()


def _no_parquet(folder: Path) -> None:
    folder.mkdir()
    (folder / "some.parquet").write_bytes(b"PAR1 and nothing else")


def _no_state(folder: Path) -> None:
    folder.mkdir()
    (folder / "state.json").write_text(json.dumps({"_data_files": 3}))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (_several, "holds test, train; give the folder of one split"),
        (_several_files, "holds files of test, train"),
        (_no_target, r"has no column target \(it has image, prompt"),
        (_cut, "cannot be read as a dataset"),
        (_gone, "cannot be read as a dataset"),
        (_no_parquet, "cannot be read as a dataset"),
        (_no_state, "cannot be read as a dataset"),
    ],
)
def test_what_is_no_dataset_is_told(tmp_path: Path, make, told: str) -> None:
    make(tmp_path / "some")
    with pytest.raises(BadImport, match=told) as caught:
        read_corrections(tmp_path / "some")
    assert "\n" not in str(caught.value)


def test_other_folders_and_files_are_none(tmp_path: Path) -> None:
    assert not is_dataset(photo_folder(tmp_path / "photos"))
    assert not is_dataset(corrections_file(tmp_path / "lines", 2))
    assert not is_dataset(tmp_path / "nothing")


def test_without_the_package(tmp_path: Path, monkeypatch) -> None:
    where = saved(tmp_path / "data", "parquet", dataset())
    known = builtins.__import__

    def without(name: str, *rest: object):
        if name.partition(".")[0] == "datasets":
            raise ImportError(name)
        return known(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"liveedit-vlm\[datasets\]"):
        read_corrections(where)


def test_an_address_is_not_fetched(tmp_path: Path) -> None:
    picture_of = {"bytes": None, "path": "https://example.org/a.png"}
    rows = {"image": [picture_of], "prompt": ["?"], "target": ["x"]}
    Dataset.from_dict(rows).save_to_disk(tmp_path / "some")
    good, bad = read_corrections(tmp_path / "some")
    assert good == []
    assert "there is no picture" in bad[0]
