"""``liveedit bench report`` and ``liveedit bench compare``, end to end."""

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from liveedit.cli import app
from liveedit.errors import BadRun, RunsDiffer
from tests.benchmark.report.runs import record, write_run, wrong


@pytest.fixture
def runs(tmp_path) -> tuple[Path, Path]:
    good = [record(case, metric) for case in range(12) for metric in ("rel", "ri")]
    worse = [
        *(wrong(case, "rel") for case in range(12)),
        *(record(case, "ri") for case in range(9)),
    ]
    return write_run(tmp_path / "good", {10: good}), write_run(tmp_path / "worse", {10: worse})


def run(*arguments: object):
    return CliRunner().invoke(app, ["bench", *map(str, arguments)])


def test_report(runs, tmp_path):
    done = run("report", *runs, "--out", tmp_path / "deep" / "page.html")
    assert done.exit_code == 0, done.output
    beside = tmp_path / "deep" / "page-files"
    assert {path.name for path in beside.iterdir()} == {
        "figures.csv", "tables.tex",
        *(f"{name}.{kind}" for kind in ("svg", "png") for name in (
            "metrics-over-edits", "experts-passed-1", "margins-1", "experts-passed-2", "margins-2",
        )),
    }  # fmt: skip
    assert (
        (tmp_path / "deep" / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    )
    with (beside / "figures.csv").open() as file:
        assert [(row["run"], row["accuracy"]) for row in csv.DictReader(file)] == [
            ("good", "100.0"), ("good", "100.0"), ("worse", "0.0"), ("worse", "100.0"),
        ]  # fmt: skip
    assert "worse: 12 of 21 probes fail" in done.output
    assert "good: 0 of 24 probes fail" in done.output


def test_report_as_json(runs, tmp_path):
    done = run("report", runs[1], "--out", tmp_path / "folder", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["page"] == str(tmp_path / "folder" / "report.html")
    for path in (found["page"], found["csv"], found["latex"], *found["plots"]):
        assert Path(path).stat().st_size > 100
    assert found["runs"] == [
        {"name": "worse", "folder": str(runs[1]), "failures": {"rel": {"10": 12}}}
    ]


def test_report_without_records(runs, tmp_path):
    (runs[0] / "records-10.jsonl").unlink()
    page = tmp_path / "page.html"
    refused = run("report", runs[0], "--out", page)
    assert isinstance(refused.exception, BadRun)
    assert not page.exists()
    assert run("report", runs[0], "--out", page, "--summary-only").exit_code == 0
    assert page.exists()


def test_report_writes_over_no_other_file(runs, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    done = run("report", runs[0], "--out", tmp_path / "notes.txt")
    assert done.exit_code == 2
    assert "--out" in done.output
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_report_of_no_run(tmp_path):
    done = run("report", tmp_path, "--out", tmp_path / "page.html")
    assert isinstance(done.exception, BadRun)
    assert list(tmp_path.iterdir()) == []


def test_compare(runs):
    done = run("compare", *runs)
    assert done.exit_code == 0, done.output
    words = " ".join(done.output.split())
    assert "N = 10, Rel: good is better than worse by 100.00 points" in words
    assert "No significant difference in the other 1 of 2 comparisons." in words
    assert "Only in good, N = 10, RI: 3 (correction 9, 10, 11)." in words
    (rel,) = (line for line in done.output.splitlines() if "Rel" in line and "12/0" in line)
    assert rel.split()[:5] == ["10", "Rel", "100.0", "0.0", "-100.0"]


def test_compare_as_json(runs):
    done = run("compare", *runs, "--json")
    found = json.loads(done.stdout)
    assert (found["a"], found["b"], found["measure"]) == ("good", "worse", "accuracy")
    rel, ri = found["rows"]
    assert (rel["metric"], rel["pairs"], rel["difference"], rel["only_a"]) == ("rel", 12, -100, 12)
    assert rel["p"] == pytest.approx(2 / 2**12)
    assert rel["p_holm"] == pytest.approx(4 / 2**12)
    assert (rel["significant"], ri["significant"]) == (True, False)
    assert found["unpaired"] == [{"run": "a", "n": 10, "metric": "ri", "cases": [9, 10, 11]}]
    assert len(found["words"]) == 2


def test_an_n_of_one_run_alone_is_named_once(runs, tmp_path):
    some = [record(case, metric) for case in range(12) for metric in ("rel", "ri")]
    more = write_run(tmp_path / "more", {1: some, 10: some, 1000: some})
    words = " ".join(run("compare", runs[0], more).output.split())
    assert words.count("Only in") == 1
    assert "Only in more: N = 1, 1,000." in words


def test_compare_exact_match(runs):
    found = json.loads(run("compare", *runs, "--exact", "--json").stdout)
    assert found["measure"] == "exact_match"


def test_compare_refuses_other_data(runs, tmp_path):
    other = write_run(tmp_path / "other", {10: [record(0, "rel")]}, dataset="e-vqa")
    done = run("compare", runs[0], other)
    assert isinstance(done.exception, RunsDiffer)
    assert "compare runs of the same dataset" in str(done.exception)
