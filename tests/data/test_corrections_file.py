"""Corrections as people keep them: tables of several makes, JSON in lines and in one piece."""

import json
from pathlib import Path

import pytest

from liveedit.data.corrections_file import CorrectionRow, read_corrections
from liveedit.errors import BadImport

ROWS = [
    {"prompt": "Was ist das, bitte?", "target": "ein Löwe", "author": "Jörg"},
    {"prompt": "Who is it?", "target": "a king; or a queen", "reason": "3,141.59 €"},
]


def table(delimiter: str) -> str:
    names = ("prompt", "target", "author", "reason")
    lines = [delimiter.join(names)]
    lines += [delimiter.join(f'"{row.get(name, "")}"' for name in names) for row in ROWS]
    return "\n".join(lines) + "\n"


def read(path: Path, data: bytes) -> list[CorrectionRow]:
    path.write_bytes(data)
    found, bad = read_corrections(path)
    assert bad == []
    return found


@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv", "rows.txt", "ROWS.CSV"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_tables_of_every_make(tmp_path, name, delimiter, encoding, line_end) -> None:
    text = table(delimiter).replace("\n", line_end)
    found = read(tmp_path / name, text.encode(encoding))
    assert [(one.prompt, one.target, one.author, one.reason) for one in found] == [
        (row["prompt"], row["target"], row.get("author", ""), row.get("reason", "")) for row in ROWS
    ]
    assert [one.line for one in found] == [2, 3]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("lines", [True, False])
def test_json_in_lines_and_in_one_piece(tmp_path, lines: bool, encoding: str) -> None:
    each = [json.dumps(row, ensure_ascii=False) for row in ROWS]
    text = "\n\n".join(each) if lines else json.dumps(ROWS, ensure_ascii=False, indent=1)
    found = read(tmp_path / "rows.anything", text.encode(encoding))
    assert [one.target for one in found] == [row["target"] for row in ROWS]
    assert [one.line for one in found] == ([1, 3] if lines else [1, 2])


def test_names_of_columns_may_be_capitalised(tmp_path) -> None:
    assert read(tmp_path / "a.csv", b" Prompt ,TARGET\nWho?,me\n")[0].target == "me"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"question,answer\nWho?,me\n", "this line has question, answer"),
        (b"prompt,target\nWho?,me,you\n", "more fields than the first line names"),
        (b'{"prompt": "Who?"\n', "cannot be read"),
        (b'{"prompt": "Who?", "target": 5}\n', "target is no text"),
        (b'[["Who?", "me"]]', "has no prompt or no target"),
    ],
)
def test_what_is_wrong_with_a_line_is_told(tmp_path, data, said) -> None:
    (tmp_path / "a").write_bytes(data)
    found, bad = read_corrections(tmp_path / "a")
    assert found == []
    assert said in bad[0]


def test_a_broken_array_is_told(tmp_path) -> None:
    (tmp_path / "a.json").write_bytes(b'[{"prompt": "Who?"')
    with pytest.raises(BadImport, match="begins as a JSON array and is none"):
        read_corrections(tmp_path / "a.json")


def test_nothing_is_nothing(tmp_path) -> None:
    assert read(tmp_path / "a.csv", b"\n \n") == []
