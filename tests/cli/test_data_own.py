"""``liveedit data check`` and ``show`` on corrections and photographs of one's own."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.data.annotations.samples import e_vqa_row, make_pictures, write
from tests.photographs import corrections_file, corrections_table, photo_folder


@pytest.fixture
def run(run_data):
    """Run ``liveedit data``."""
    return run_data


def test_clean_corrections(tmp_path: Path, run) -> None:
    file = corrections_file(tmp_path, 6)
    status, out, _ = run("check", file)
    assert status == 0
    assert "6 corrections" in out
    assert "derived in training, for 6: question in other words" in out
    assert out.endswith("clean\n")
    found = json.loads(run("check", file, "--json")[1])
    assert found["clean"]
    assert found["counts"] == {"corrections": 6, "text-only": 0, "pictures": 6}


def test_a_table(tmp_path: Path, run, monkeypatch) -> None:
    monkeypatch.setenv("LIVEEDIT_CACHE", str(tmp_path / "cache"))
    status, out, _ = run("check", corrections_table(tmp_path / "some.parquet", 6))
    assert status == 0
    assert "6 corrections, 0 text-only, 6 pictures" in out
    assert out.endswith("clean\n")


def test_bad_corrections_are_named_with_their_lines(tmp_path: Path, run) -> None:
    file = corrections_file(tmp_path, 6)
    whole = (tmp_path / "1.png").read_bytes()
    (tmp_path / "1.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "4.png").unlink()
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines, lines[0], lines[0], '{"prompt": "Who?"}']) + "\n")
    status, out, _ = run("check", file)
    assert status == 1
    assert re.search(r"line 5: there is no picture .*4\.png", out)
    assert re.search(r"line 2: .*1\.png cannot be opened", out)
    assert "line 9: has no prompt or no target" in out
    assert "3 lines say the same: 'Who made this?'" in out
    assert "clean" not in out


def test_too_few_for_training_is_no_fault(tmp_path: Path, run) -> None:
    status, out, _ = run("check", corrections_file(tmp_path, 1))
    assert status == 0
    assert "not enough to train an editor on" in out


def test_photographs(tmp_path: Path, run) -> None:
    root = photo_folder(tmp_path / "photos")
    (root / "cup" / "1.jpg").write_bytes(b"none")
    status, out, _ = run("check", root)
    assert status == 1
    assert "29 photographs, 15 classes, 6 train classes, 3 validation classes" in out
    assert "1 classes have one photograph (cup)" in out
    assert "cup/1.jpg is no" in out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["e-vqa"], "--annotations"),
        (["e-vqa", "--annotations", "x"], "--images"),
        (["nowhere.csv"], "there is no dataset"),
    ],
)
def test_what_is_missing_is_told(run, arguments, told) -> None:
    status, _, error = run("check", *arguments)
    assert status != 0
    assert told in error


class _Page(HTMLParser):
    """Counts what a page holds, and sees that it loads nothing."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.count: dict[str, int] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        for name, value in attrs:
            if name in ("src", "href"):
                assert (value or "").startswith("data:")


def test_a_page_of_each_source(tmp_path: Path, run) -> None:
    rows = [e_vqa_row(number) for number in range(4)]
    sources = {
        "own": [corrections_file(tmp_path / "own", 4, target="<b>bold</b>")],
        "photos": [photo_folder(tmp_path / "photos"), "--split", "evaluation"],
        "e-vqa": [write(tmp_path / "some.json", rows),
                  "--images", make_pictures(tmp_path / "images", rows)],
        "drawings": ["emoji-edit"],
        "table": [corrections_table(tmp_path / "some.parquet", 4)],
    }  # fmt: skip
    for name, source in sources.items():
        page = tmp_path / f"{name}.html"
        status, out, _ = run("show", *source, "--out", page, "--limit", "3")
        assert status == 0, name
        assert out == f"3 corrections in {page}\n"
        text = page.read_text(encoding="utf-8")
        found = _Page(text).count
        assert found["section"] == 3
        assert found["img"] == 3 * 7, "every side but the one without a picture"
        assert "<b>" not in text


def test_a_picture_that_breaks_off_is_told_on_the_page(tmp_path: Path, run) -> None:
    file = corrections_file(tmp_path, 3)
    whole = (tmp_path / "0.png").read_bytes()
    (tmp_path / "0.png").write_bytes(whole[: len(whole) // 2])
    assert run("show", file, "--out", tmp_path / "page.html")[0] == 0
    assert "0.png" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_show_what_is_not_there(run, tmp_path: Path) -> None:
    status, _, error = run("show", "nothing", "--out", tmp_path / "page.html")
    assert status == 2
    assert "there is no nothing" in error
    assert not (tmp_path / "page.html").exists()
