"""CSV and LaTeX, read back."""

import csv
import io

import pytest

from liveedit.benchmark.report.labels import ordered
from liveedit.benchmark.report.latex import as_latex, tex
from liveedit.benchmark.report.loading import load_runs
from liveedit.benchmark.report.long_csv import as_csv
from tests.benchmark.report.runs import record, write_run, wrong

FIVE = ("rel", "t_gen", "m_gen", "t_loc", "m_loc")


@pytest.fixture
def runs(tmp_path):
    whole = [record(case, metric) for case in range(4) for metric in (*FIVE, "ri")]
    whole += [wrong(4, "m_gen", accuracy=0.5), record(0, "text_rel")]
    part = [record(0, "rel"), wrong(0, "ci", accuracy=0.25)]
    return load_runs(
        [
            write_run(tmp_path / "whole", {1: whole, 1000: whole}),
            write_run(tmp_path / "part_2", {1000: part}, method="new_one", backbone="R&D 100%"),
        ]
    )


def test_csv(runs):
    rows = list(csv.DictReader(io.StringIO(as_csv(runs))))
    assert list(rows[0]) == [
        "run", "n", "metric", "accuracy", "low", "high", "exact_match", "exact_low",
        "exact_high", "before", "probes",
    ]  # fmt: skip
    assert [(row["run"], row["n"]) for row in rows] == [
        *[("whole", "1")] * 7, *[("whole", "1000")] * 7, *[("part_2", "1000")] * 2,
    ]  # fmt: skip
    (m_gen,) = (row for row in rows if row["metric"] == "m_gen" and row["n"] == "1")
    assert [float(m_gen[key]) for key in ("accuracy", "low", "high")] == [90, 89, 91]
    assert [float(m_gen[key]) for key in ("exact_match", "exact_low", "exact_high")] == [80, 78, 82]
    assert float(m_gen["before"]) == 25
    assert m_gen["probes"] == "5"
    (ci,) = (row for row in rows if row["metric"] == "ci")
    assert (ci["before"], float(ci["accuracy"])) == ("", 25)


def table(text: str, number: int) -> list[list[str]]:
    """Cells of a tabular, line by line."""
    body = text.split(r"\toprule")[number + 1].split(r"\bottomrule")[0]
    lines = [line for line in body.splitlines() if line.endswith(r"\\")]
    return [
        [cell.strip() for cell in line.removesuffix(r"\\").replace(r"\&", "and").split("&")]
        for line in lines
    ]


def test_latex(runs):
    text = as_latex(runs)
    assert text.count(r"\begin{tabular}{rl rrrrr r rr}") == text.count(r"\end{tabular}") == 2
    for number, m_gen, average in ((0, "90.00", "98.00"), (1, "80.00", "96.00")):
        head, *lines = table(text, number)
        assert head == [
            r"\# Edits", "Editor", "Rel.", "T-Gen.", "M-Gen.", "T-Loc.", "M-Loc.", "Average",
            "RI", "CI",
        ]  # fmt: skip
        full = ["100.00", "100.00", m_gen, "100.00", "100.00", average, "100.00", "--"]
        assert lines == [
            ["1", "LiveEdit [1]", *full],
            ["1,000", "LiveEdit [1]", *full],
            [
                "", r"new\_one [2]", "100.00", "--", "--", "--", "--", "--", "--",
                ("25.00", "0.00")[number],
            ],
        ]  # fmt: skip
    assert r"[2] emoji-edit (validation), R\&D 100\%." in text
    assert "text" not in text.split(r"\toprule")[1].split(r"\bottomrule")[0]


def test_two_runs_of_a_method_are_told_apart(tmp_path):
    one = {1: [record(0, "rel")]}
    folders = [write_run(tmp_path / name, one) for name in ("a", "b")]
    lines = table(as_latex(load_runs(folders)), 0)
    assert [line[1] for line in lines[1:]] == ["LiveEdit (a)", "LiveEdit (b)"]


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a_b & 5% of #1 {x} $y$", r"a\_b \& 5\% of \#1 \{x\} \$y\$"),
        ("~^\\", r"\textasciitilde{}\textasciicircum{}\textbackslash{}"),
        ("two\nlines", "two lines"),
    ],
)
def test_tex(text, escaped):
    assert tex(text) == escaped


def test_unknown_metrics_come_last():
    assert ordered(["brand_new", "text_rel", "portability_2", "rel", "portability"]) == [
        "rel", "portability", "portability_2", "text_rel", "brand_new",
    ]  # fmt: skip
