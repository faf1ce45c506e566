import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from liveedit.data.annotations import emoji
from liveedit.data.annotations.audit import LEAKS
from tests.data.annotations.samples import (
    SHARED,
    e_ic_row,
    e_vqa_row,
    make_pictures,
    vlkeb_row,
    write,
)


@pytest.fixture
def run(run_data):
    """Run ``liveedit data``."""
    return run_data


def one_sentence(error: str) -> str:
    lines = [line for line in error.splitlines() if line.startswith("liveedit:")]
    assert len(lines) == 1
    assert "Traceback" not in error
    return lines[0]


def unboxed(error: str) -> str:
    """A usage error without the box around it and the line breaks that fit it in."""
    return " ".join(error.replace("│", " ").split())


@pytest.fixture
def whole(tmp_path: Path) -> list[object]:
    """Arguments that check a small E-VQA without a fault."""
    rows = [e_vqa_row(number) for number in range(25)]
    images = make_pictures(tmp_path / "images", rows)
    file = write(tmp_path / "some.json", rows)
    return ["check", "e-vqa", "--annotations", file, "--images", images]


@pytest.mark.parametrize("verb", [[], ["check"], ["audit"]])
def test_help(verb: list[str], run) -> None:
    status, out, _ = run(*verb, "--help")
    assert status == 0
    assert "Usage" in out


def test_check_of_a_whole_dataset(whole, run) -> None:
    status, out, _ = run(*whole)
    assert status == 0
    assert out.splitlines()[-1] == "clean"
    assert "rows: 25, 0 of them not usable" in out
    assert "published at" not in out


def test_check_as_json(whole, run) -> None:
    status, out, _ = run(*whole, "--json")
    assert (status, json.loads(out)) == (
        0,
        {
            "dataset": "e-vqa", "rows": 25, "published_rows": None, "rejected": [],
            "pictures": 75, "missing": [], "unreadable": [], "clean": True,
        },
    )  # fmt: skip


def test_check_says_what_is_missing_where_it_belongs_and_where_it_is(whole, tmp_path, run) -> None:
    images = tmp_path / "images"
    for picture in (images / "val2014_image_rephrase").iterdir():
        picture.unlink()
    bad = e_vqa_row(3)["image"]
    (images / bad).unlink()
    (images / bad).write_bytes(b"no picture")
    status, out, _ = run(*whole)
    assert status == 1
    assert "25 missing, 1 not to be opened" in out
    assert out.count("is missing (row") == 20
    assert "and 5 more; --json lists all" in out
    assert f"{bad} is no PNG, JPEG or WEBP picture (row 3)" in out
    assert f"expected below {images}:\n  val2014/COCO_val2014_<12 digits>.jpg" in out
    assert "https://github.com/zjunlp/EasyEdit" in out
    status, out, _ = run(*whole, "--json")
    report = json.loads(out)
    assert status == 1
    assert not report["clean"]
    assert len(report["missing"]) == 25
    problem = "is no PNG, JPEG or WEBP picture"
    assert report["unreadable"] == [{"path": bad, "problem": problem, "rows": [3]}]


def test_check_names_every_bad_row(tmp_path, run) -> None:
    rows = [vlkeb_row(0), vlkeb_row(1, alt=""), vlkeb_row(2, src=3)]
    images = make_pictures(tmp_path / "images", rows[:1])
    file = write(tmp_path / "some.json", rows)
    arguments = ["check", "VLKEB", "--annotations", file, "--images", images]
    status, out, _ = run(*arguments)
    assert status == 1
    assert "row 1 (counted from 0): field 'alt' is empty" in out
    assert "row 2 (counted from 0): field 'src' is a number, not text" in out
    status, out, _ = run(*arguments, "--json")
    assert status == 1
    assert [row["row"] for row in json.loads(out)["rejected"]] == [1, 2]


def test_check_of_a_file_with_fewer_rows_than_published(tmp_path, run) -> None:
    images = make_pictures(tmp_path / "images", [e_ic_row()])
    file = write(tmp_path / "caption_eval_edit.json", [e_ic_row()])
    status, out, _ = run("check", "e-ic", "--annotations", file, "--images", images)
    assert status == 1
    assert "rows: 1 of 1000 published" in out
    assert "caption_eval_edit.json was published with 1000 rows" in out


@pytest.mark.parametrize(
    ("content", "said"),
    [("[{", "is not valid JSON"), ('{"rows": []}', "not a list of rows"), ("[]", "empty list")],
)
def test_check_of_an_unreadable_file(content: str, said: str, tmp_path, run) -> None:
    file = tmp_path / "some.json"
    file.write_text(content)
    status, out, error = run("check", "e-vqa", "--annotations", file, "--images", tmp_path)
    assert (status, out) == (2, "")
    assert said in one_sentence(error)
    assert str(file) in one_sentence(error)


def test_bad_usage_of_check(tmp_path, run) -> None:
    file = write(tmp_path / "some.json", [e_vqa_row()])
    status, _, error = run("check", "e-vqqa", "--annotations", file, "--images", tmp_path)
    assert (status, "did you mean 'e-vqa'?" in one_sentence(error)) == (2, True)
    status, _, error = run("check", "e-vqa", "--annotations", file, "--images", tmp_path / "no")
    assert (status, "give the folder of pictures" in one_sentence(error)) == (2, True)
    assert run("check", "e-vqa", "--annotations", tmp_path / "no", "--images", tmp_path)[0] == 2
    assert run("check", "e-vqa", "--images", tmp_path)[0] == 2
    status, _, error = run("check", "emoji-edit", "--annotations", file, "--images", tmp_path)
    assert (status, "is drawn" in unboxed(error)) == (2, True)


@pytest.fixture
def two_files(tmp_path: Path) -> tuple[Path, Path, list[dict[str, Any]]]:
    """A training and an evaluation file that share a picture and a probe, and the latter's rows."""
    train = [vlkeb_row(0), vlkeb_row(1)]
    probe = {field: train[1][field] for field in ("m_loc", "m_loc_q")}
    evaluation = [vlkeb_row(2), vlkeb_row(3, image=train[0]["image"]), vlkeb_row(4, **probe)]
    train_file = write(tmp_path / "trained.json", train)
    return train_file, write(tmp_path / "evaluated.json", evaluation), evaluation


def test_audit_as_json(two_files, run) -> None:
    status, out, _ = run("audit", *two_files[:2], "--json")
    assert (status, json.loads(out)) == (
        0,
        {
            "train": 2, "eval": 3, "shared_pictures": 1, "shared_pictures_in_any_role": 2,
            "shared_pairs": 1, "shared_concepts": 1, "shared_locality_probes": 1,
            "shared_text_probes": 0, "sharing_anything": 2,
            "train_dataset": "vlkeb", "eval_dataset": "vlkeb", "written": None,
        },
    )  # fmt: skip


def test_audit_as_a_table(two_files, monkeypatch, run) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    status, out, _ = run("audit", *two_files[:2])
    assert status == 0
    lines = [line for line in out.splitlines() if line.startswith("│")]
    assert len(lines) == len(LEAKS) + 1
    assert "33.3%" in lines[0]
    assert "66.7%" in lines[-1]


def test_concepts_that_the_format_does_not_know(tmp_path, run) -> None:
    files = [write(tmp_path / f"{n}.json", [e_ic_row(n)]) for n in (1, 2)]
    assert "not known" in run("audit", *files)[1]
    assert json.loads(run("audit", *files, "--json")[1])["shared_concepts"] is None


def test_audit_writes_the_rows_that_share_nothing(two_files, tmp_path, run) -> None:
    train, evaluation, rows = two_files
    clean = tmp_path / "clean.json"
    status, out, _ = run("audit", train, evaluation, "--write", clean)
    assert status == 0
    assert "1 rows that share nothing with training" in out
    assert json.loads(clean.read_text()) == rows[:1]
    again = json.loads(run("audit", train, clean, "--json")[1])
    assert (again["eval"], again["sharing_anything"]) == (1, 0)


def test_audit_writes_nothing_over_what_it_reads(two_files, run) -> None:
    for file in two_files[:2]:
        before = file.read_bytes()
        status, _, error = run("audit", *two_files[:2], "--write", file)
        assert (status, "is what is audited" in unboxed(error)) == (2, True)
        assert file.read_bytes() == before


def test_audit_writes_no_empty_file(two_files, tmp_path, run) -> None:
    train = two_files[0]
    status, out, error = run("audit", train, train, "--write", tmp_path / "clean.json")
    assert (status, out) == (2, "")
    assert "each of the 2 evaluation rows" in one_sentence(error)
    assert not (tmp_path / "clean.json").exists()


def test_audit_of_what_it_does_not_recognise(tmp_path, run) -> None:
    file = write(tmp_path / "some.json", [e_vqa_row(loc="who wrote it")])
    status, _, error = run("audit", file, file)
    assert (status, "--dataset" in one_sentence(error)) == (2, True)
    status, out, _ = run("audit", file, file, "--dataset", "e-vqa", "--json")
    assert (status, json.loads(out)["shared_pairs"]) == (0, 1)


def test_audit_of_a_bad_row(tmp_path, two_files, run) -> None:
    file = write(tmp_path / "some.json", [vlkeb_row(0), vlkeb_row(1, alt="")])
    status, _, error = run("audit", two_files[0], file)
    assert status == 2
    assert f"{file}, row 1 (counted from 0): field 'alt' is empty" in one_sentence(error)


def test_emoji_edit_is_clean(run) -> None:
    status, out, _ = run("audit", "emoji-edit", "emoji-edit", "--json")
    found = json.loads(out)
    assert status == 0
    assert (found["train"], found["eval"]) == (5000, 2000)
    assert {found[leak] for leak in LEAKS} == {0}
    assert found["sharing_anything"] == 0


def test_emoji_edit_cannot_be_written(two_files, tmp_path, monkeypatch, run) -> None:
    monkeypatch.setattr(emoji, "_SIZES", {"train": 2, "validation": 2, "evaluation": 2})
    clean = tmp_path / "clean.json"
    status, _, error = run("audit", two_files[0], "emoji-edit", "--write", clean)
    assert (status, "no file to take rows from" in unboxed(error)) == (2, True)
    assert not clean.exists()


@pytest.mark.skipif(
    not SHARED.is_dir(), reason="the published annotation files are not in ../shared/data"
)
def test_every_image_locality_probe_of_e_ic_is_trained_on(tmp_path, run) -> None:
    folder = SHARED / "easy-edit-mm" / "caption"
    files = [folder / "caption_train_edit.json", folder / "caption_eval_edit.json"]
    found = json.loads(run("audit", *files, "--json")[1])
    assert (found["train"], found["eval"]) == (2849, 1000)
    assert (found["shared_locality_probes"], found["shared_pairs"]) == (1000, 0)
    assert run("audit", *files, "--write", tmp_path / "clean.json")[0] == 2
    assert list(tmp_path.iterdir()) == []


def test_neither_verb_loads_torch(whole, two_files) -> None:
    code = (
        "import sys\n"
        "from liveedit import cli\n"
        "sys.argv = ['liveedit', 'data', *sys.argv[1:]]\n"
        "try: cli.main()\n"
        "except SystemExit as ended: assert not ended.code\n"
        "assert 'liveedit.data.annotations.reading' in sys.modules\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    for arguments in (whole, ["audit", *two_files[:2]]):
        command = [sys.executable, "-c", code, *map(str, arguments)]
        subprocess.run(command, check=True, capture_output=True)
