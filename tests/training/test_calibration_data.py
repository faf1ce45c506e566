"""What a file must have so that an editor can be calibrated on it."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from liveedit.errors import BadAnnotations, BadImport, CannotCalibrate
from liveedit.training.calibration_data import LEAST, calibration_data

SIZES = {"corrections": 10, "validation": 10}


def a_file(folder: Path, pictures: int, *, alike: bool = False) -> Path:
    """Corrections about so many pictures, two questions each."""
    rows = []
    for number in range(pictures):
        random = np.random.default_rng(0 if alike else number)
        pixels = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((40, 40)).save(folder / f"{number}.png")
        rows += [
            {"image": f"{number}.png", "prompt": question, "target": f"T{number}"}
            for question in ("What is this?", f"Who owns number {number}?")
        ]
    file = folder / "corrections.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    return file


def test_a_file_is_divided_by_its_pictures(tmp_path):
    data = calibration_data(a_file(tmp_path, LEAST), corrections=99, validation=99)
    found, held = ({case.scene.file for case in some} for some in (data.cases, data.held))
    assert len(found) == len(held) == LEAST // 2
    assert not found & held


def test_no_more_than_asked_for_are_taken(tmp_path):
    data = calibration_data(a_file(tmp_path, 40), **SIZES)
    assert len(data.cases) == len(data.held) == 10


def test_drawings_are_the_default():
    data = calibration_data(**SIZES)
    assert len(data.cases) == len(data.held) == 10


@pytest.mark.parametrize(("pictures", "alike"), [(LEAST - 1, False), (LEAST + 4, True)])
def test_too_few_pictures_or_the_same_again_are_refused(tmp_path, pictures, alike):
    with pytest.raises(CannotCalibrate, match=f"{LEAST} or more"):
        calibration_data(a_file(tmp_path, pictures, alike=alike), corrections=99, validation=99)


def test_a_file_without_pictures_is_refused(tmp_path):
    file = tmp_path / "texts.jsonl"
    file.write_text(json.dumps({"prompt": "Who?", "target": "Ann"}))
    with pytest.raises(CannotCalibrate, match="0 different pictures"):
        calibration_data(file, **SIZES)


def test_a_picture_that_does_not_open_is_named(tmp_path):
    file = a_file(tmp_path, LEAST)
    (tmp_path / "3.png").write_bytes(b"no picture")
    with pytest.raises(BadAnnotations, match=r"3\.png"):
        calibration_data(file, **SIZES)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadImport, match="cannot be read"):
        calibration_data(tmp_path / "none.jsonl", **SIZES)
