import json
from pathlib import Path

import pytest

from liveedit.data.annotations.audit import Audit, audit
from liveedit.data.annotations.datasets import E_VQA
from liveedit.data.annotations.leak_free import write_leak_free
from liveedit.data.annotations.reading import inspect_rows
from liveedit.errors import BadAnnotations
from tests.data.annotations.samples import e_vqa_row

TRAIN = [e_vqa_row(0), e_vqa_row(1)]
EVALUATION = [
    e_vqa_row(2, alt=" as it was é\n", more=[1]),
    e_vqa_row(3, image=TRAIN[0]["image"]),
    e_vqa_row(4, loc=TRAIN[1]["loc"]),
    e_vqa_row(5),
]


def compared(rows: list[dict]) -> Audit:
    return audit(inspect_rows(TRAIN, E_VQA).annotations, inspect_rows(rows, E_VQA).annotations)


def test_rows_that_share_nothing_as_they_were(tmp_path: Path) -> None:
    file = tmp_path / "clean.json"
    file.write_text("what was there before")
    assert write_leak_free(EVALUATION, compared(EVALUATION), file) == 2
    written = json.loads(file.read_text(encoding="utf-8"))
    assert written == [EVALUATION[0], EVALUATION[3]]
    assert compared(written).leaking == 0
    assert list(tmp_path.iterdir()) == [file]


def test_nothing_left(tmp_path: Path) -> None:
    rows = EVALUATION[1:3]
    with pytest.raises(BadAnnotations, match="each of the 2 evaluation rows shares something"):
        write_leak_free(rows, compared(rows), tmp_path / "clean.json")
    assert list(tmp_path.iterdir()) == []


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(BadAnnotations, match="cannot be written"):
        write_leak_free(EVALUATION, compared(EVALUATION), tmp_path / "no" / "clean.json")


def test_a_disk_that_fills_up_leaves_what_was_there(tmp_path: Path, monkeypatch) -> None:
    file = tmp_path / "clean.json"
    file.write_text("what was there before")

    def full(part: Path, text: str, **_: object) -> int:
        part.write_bytes(text[:100].encode())
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(BadAnnotations, match="No space left on device"):
        write_leak_free(EVALUATION, compared(EVALUATION), file)
    assert list(tmp_path.iterdir()) == [file]
    assert file.read_text() == "what was there before"
