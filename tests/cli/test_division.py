"""A published file in three parts that share no corrected picture."""

import json
from pathlib import Path

import pytest

from liveedit.data.annotations.division import PARTS, audits, divide, part_of
from liveedit.data.annotations.sources import open_source
from liveedit.errors import BadAnnotations
from tests.data.annotations.samples import SHARED, e_vqa_row, vlkeb_row, write


def parts_of(file: Path, folder: Path):
    source = open_source(str(file), "train")
    assert source.original is not None
    return divide(source.original, source.annotations, folder)


def test_every_row_is_in_one_part_as_it_was(tmp_path: Path) -> None:
    rows = [e_vqa_row(number // 2, src=f"Question {number}?") for number in range(200)]
    found = parts_of(write(tmp_path / "all.json", rows), tmp_path / "parts")
    written = {part: json.loads((tmp_path / "parts" / f"{part}.json").read_text())
               for part in PARTS}  # fmt: skip
    assert sorted(row["src"] for some in written.values() for row in some) == sorted(
        row["src"] for row in rows
    )
    assert all(row in rows for some in written.values() for row in some)
    for part, share in PARTS.items():
        assert abs(len(found[part]) / 200 - share) < 0.12
        assert {part_of(row) for row in found[part]} == {part}
    for between in audits(found).values():
        assert between.counts["shared_pictures"] == between.counts["shared_pairs"] == 0


def test_an_entity_is_in_one_part(tmp_path: Path) -> None:
    rows = [vlkeb_row(number % 50, image=f"m.0{number % 50}/{number}.jpg") for number in range(150)]
    found = parts_of(write(tmp_path / "all.json", rows), tmp_path / "parts")
    assert all(between.counts["shared_concepts"] == 0 for between in audits(found).values())


def test_too_few_rows_leave_nothing_behind(tmp_path: Path) -> None:
    file = write(tmp_path / "all.json", [e_vqa_row(0)])
    with pytest.raises(BadAnnotations, match="nothing is left for"):
        parts_of(file, tmp_path / "parts")
    assert not (tmp_path / "parts").exists()


def test_the_command(tmp_path: Path, run_data) -> None:
    file = write(tmp_path / "all.json", [e_vqa_row(number) for number in range(60)])
    status, out, error = run_data("divide", file, "--out", tmp_path / "parts", "--json")
    assert status == 0, error
    told = json.loads(out)
    assert sum(told["rows"].values()) == 60
    assert {one["shared_pairs"] for one in told["shared"]} == {0}
    assert "rows in" in run_data("divide", file, "--out", tmp_path / "parts")[1]
    assert run_data("divide", "emoji-edit", "--out", tmp_path / "parts")[0] == 2


def test_the_published_training_file_of_e_vqa(tmp_path: Path) -> None:
    if not SHARED.is_dir():
        pytest.skip("the published annotation files are not here")
    found = parts_of(SHARED / "easy-edit-mm" / "vqa" / "vqa_train.json", tmp_path / "parts")
    assert {part: len(some) for part, some in found.items()} == {
        "train": 4099, "validation": 668, "evaluation": 1578
    }  # fmt: skip
    for between in audits(found).values():
        assert between.counts["shared_pictures"] == between.counts["shared_pairs"] == 0
