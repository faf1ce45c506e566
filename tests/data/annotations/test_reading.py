import json
from pathlib import Path

import pytest

from liveedit.data.annotations.datasets import E_IC, E_VQA, VLKEB
from liveedit.data.annotations.reading import inspect_rows, load_rows, read_annotations
from liveedit.errors import BadAnnotations
from tests.data.annotations.samples import e_ic_row, e_vqa_row, vlkeb_row, without, write

FIELDS = sorted(e_vqa_row())
TEXTS = sorted({*FIELDS} - {"pred"})


def refused(file: Path, dataset=E_VQA) -> str:
    with pytest.raises(BadAnnotations) as raised:
        read_annotations(file, dataset)
    return str(raised.value)


@pytest.mark.parametrize(
    ("dataset", "make"), [(E_VQA, e_vqa_row), (E_IC, e_ic_row), (VLKEB, vlkeb_row)]
)
def test_every_row_in_its_order(dataset, make, tmp_path) -> None:
    rows = read_annotations(write(tmp_path / "some.json", [make(n) for n in range(5)]), dataset)
    assert [row.row for row in rows] == [0, 1, 2, 3, 4]
    assert [str(row.image) for row in rows] == [make(n)["image"] for n in range(5)]


def test_a_file_with_a_byte_order_mark(tmp_path) -> None:
    file = tmp_path / "some.json"
    file.write_text(json.dumps([e_vqa_row()]), encoding="utf-8-sig")
    assert len(read_annotations(file, E_VQA)) == 1


def test_truncated_json(tmp_path) -> None:
    file = write(tmp_path / "cut.json", [e_vqa_row(), e_vqa_row(1)])
    whole = file.read_bytes()
    for length in (1, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:length])
        said = refused(file)
        assert said.startswith(f"{file} is not valid JSON (")
        assert "line 1" in said
        assert "cut off" in said


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b'["\xe9"]', b"[" + b"1" * 5000 + b"]"])
def test_bytes_that_are_no_json(content: bytes, tmp_path) -> None:
    file = tmp_path / "some.json"
    file.write_bytes(content)
    assert refused(file).startswith(f"{file} is not valid JSON (")


def test_nested_without_end(tmp_path) -> None:
    file = tmp_path / "deep.json"
    file.write_bytes(b"[" * 200_000)
    assert "nested too deeply" in refused(file)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"rows": [e_vqa_row()]}, "holds an object, not a list"),
        ("text", "holds text, not a list"),
        (None, "holds null, not a list"),
        ([], "holds an empty list"),
    ],
)
def test_no_list_of_rows(content, said: str, tmp_path) -> None:
    file = write(tmp_path / "some.json", content)
    assert refused(file).startswith(f"{file} {said}")


def test_no_such_file(tmp_path) -> None:
    assert "no.json cannot be read (No such file or directory)" in refused(tmp_path / "no.json")
    assert "cannot be read (Is a directory)" in refused(tmp_path)


@pytest.mark.parametrize("field", FIELDS)
def test_a_missing_field(field: str, tmp_path) -> None:
    file = write(tmp_path / "some.json", [e_vqa_row(), without(e_vqa_row(1), field)])
    assert refused(file).startswith(f"{file}, row 1 (counted from 0): field {field!r} is missing;")


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    ("value", "word"), [(3, "a number"), (True, "true or false"), (None, "null"), ({}, "an object")]
)
def test_a_wrong_type(field: str, value: object, word: str, tmp_path) -> None:
    file = write(tmp_path / "some.json", [e_vqa_row(**{field: value})])
    assert f", row 0 (counted from 0): field {field!r} is {word}, not text;" in refused(file)


@pytest.mark.parametrize("field", TEXTS)
@pytest.mark.parametrize("value", ["", " \n"])
def test_an_empty_text(field: str, value: str, tmp_path) -> None:
    file = write(
        tmp_path / "some.json", [e_vqa_row(), e_vqa_row(1), e_vqa_row(2, **{field: value})]
    )
    assert f", row 2 (counted from 0): field {field!r} is empty" in refused(file)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([], "'m_loc_a' is an empty list"),
        (["curling", 3], "'m_loc_a[1]' is a number, not text"),
        (["", "curling"], "'m_loc_a[0]' is empty"),
    ],
)
def test_bad_lists_of_answers(answers: list, said: str, tmp_path) -> None:
    assert said in refused(write(tmp_path / "some.json", [e_vqa_row(m_loc_a=answers)]))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("alt", "x" * 8001, "has 8001 characters, more than 8000"),
        ("src", "x" * 4001, "has 4001 characters, more than 4000"),
        ("src", "why\0?", "holds a NUL character"),
        ("loc", "why \ud800?", "holds half a surrogate pair"),
        ("image", "/etc/picture.jpg", "leads out of the folder of pictures"),
        ("m_loc", "val2014/../../picture.jpg", "leads out of the folder of pictures"),
    ],
)
def test_texts_and_paths_that_no_correction_can_have(field, value, said, tmp_path) -> None:
    file = write(tmp_path / "some.json", [e_vqa_row(**{field: value})])
    assert f"field {field!r} {said}" in refused(file)


def test_a_row_that_is_no_object(tmp_path) -> None:
    file = write(tmp_path / "some.json", [e_vqa_row(), [e_vqa_row(1)]])
    assert f"{file}, row 1 (counted from 0): it is a list, not an object" in refused(file)


@pytest.mark.parametrize(("one", "other"), [("7", "7"), (7, 7)])
def test_duplicate_ids(one, other, tmp_path) -> None:
    rows = [e_vqa_row(0, id=one), e_vqa_row(1, id="another"), e_vqa_row(2, id=other)]
    said = refused(write(tmp_path / "some.json", rows))
    assert f"row 2 (counted from 0): field 'id' ({other!r}) is that of row 0, too" in said


def test_different_ids_or_none(tmp_path) -> None:
    rows = [e_vqa_row(0, id="7"), e_vqa_row(1, id=7), e_vqa_row(2), e_vqa_row(3)]
    assert len(read_annotations(write(tmp_path / "some.json", rows), E_VQA)) == 4


@pytest.mark.parametrize("value", [None, True, 1.5, ["7"]])
def test_ids_that_are_none(value: object, tmp_path) -> None:
    file = write(tmp_path / "some.json", [e_vqa_row(id=value)])
    assert "not text or a number" in refused(file)


def test_all_problems_at_once() -> None:
    rows = [e_vqa_row(0), e_vqa_row(1, src="", alt=2), "row", e_vqa_row(3)]
    reading = inspect_rows(rows, E_VQA)
    assert [row.row for row in reading.annotations] == [0, 3]
    assert [(bad.row, bad.problems) for bad in reading.rejected] == [
        (1, ("field 'src' is empty", "field 'alt' is a number, not text")),
        (2, ("it is text, not an object",)),
    ]


def test_the_error_names_the_first_row_and_counts_the_others(tmp_path) -> None:
    rows = [e_vqa_row(0), e_vqa_row(1, src=""), e_vqa_row(2, alt=""), e_vqa_row(3, loc="")]
    said = refused(write(tmp_path / "some.json", rows))
    assert "row 1 (counted from 0): field 'src' is empty (and 2 more rows)" in said
    assert said.endswith("liveedit data check e-vqa")


def test_rows_are_loaded_as_they_are(tmp_path) -> None:
    rows = [e_vqa_row(alt=" kept \n", more=[1, None]), "anything"]
    assert load_rows(write(tmp_path / "some.json", rows)) == rows
