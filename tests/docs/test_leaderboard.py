"""The leaderboard is made of what runs have left, and of nothing else."""

from __future__ import annotations

import importlib
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
METRICS = ("rel", "t_gen", "m_gen", "m_loc", "ri", "ci", "t_loc", "ni")


@pytest.fixture
def board(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    for name in [name for name in sys.modules if name == "svg" or name.startswith("leaderboard")]:
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("leaderboard")


def summary(exact: float | None, accuracy: float, edits: int = 100, **more) -> dict:
    figures = {
        "accuracy": accuracy, "interval": [accuracy - 1, accuracy + 1], "exact_match": exact,
        "before": None, "n": 300,
    }  # fmt: skip
    return {
        "dataset": "emoji-edit", "method": "wise", "backbone": "pocket", "dtype": "float32",
        "corrections": 300, "runs": {str(edits): {"metrics": dict.fromkeys(METRICS, figures)}},
    } | more  # fmt: skip


def put(results: Path, folder: str, content: dict, **beside: dict) -> None:
    at = results / folder
    at.mkdir(parents=True)
    (at / "summary.json").write_text(json.dumps(content))
    for name, what in beside.items():
        (at / f"{name}.json").write_text(json.dumps(what))


class _Tables(HTMLParser):
    """Cells of all tables, row by row."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.titles: list[str] = []
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag, attrs) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._inside = True
            self.titles.append(dict(attrs).get("title") or "")

    def handle_endtag(self, tag) -> None:
        self._inside = self._inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.rows[-1][-1] += data.strip()


def test_rows_are_what_summaries_say_the_best_first(board, tmp_path) -> None:
    cost = {
        "device": "cpu", "threads": 2, "seconds_per_edit": 1.2345, "bytes_per_edit": 350_000,
        "prefill": {"ratio": 1.07}, "decode": {"ratio": 1.01}, "revoke": {"0": 0.1, "10": 9.5},
    }  # fmt: skip
    put(tmp_path, "emoji-edit/wise", summary(60.25, 80.0), cost=cost)
    trained = {"wise": {"minutes": 12, "what": "a matrix, on one core"}}
    (tmp_path / "trained.json").write_text(json.dumps(trained))
    put(tmp_path, "emoji-edit/tuned", summary(70.0, 85.0), row={"name": "WISE, tuned <b>"})
    put(tmp_path, "photo-edit/wise", summary(None, 50.0, dataset="photo-edit"))
    text = board.leaderboard(tmp_path)
    assert re.findall(r"^## (.*)", text, re.MULTILINE) == ["emoji-edit", "photo-edit"]
    tables = _Tables(text)
    head, first, second = tables.rows[:3]
    assert head[:9] == ["method", "asked", "mean", "Rel", "T-Gen", "M-Gen", "M-Loc", "RI", "CI"]
    costs = ["trained, min", "s / edit", "kB / edit", "prefill", "decode", "revoke, s"]
    assert head[9:15] == costs
    assert first == ["WISE, tuned <b>", "300", *["70.0"] * 7, *[""] * 6, "70.0", "70.0"]
    costs = ["12", "1.234", "350.0", "1.07", "1.01", "9.500"]
    assert second == ["wise", "300", *["60.2"] * 7, *costs, "60.2", "60.2"]
    assert "10 edits were made after it" in tables.titles
    assert "a matrix, on one core" in tables.titles
    assert any("emoji-edit/wise" in title for title in tables.titles)
    accuracy = tables.rows[4]
    assert accuracy[:3] == ["WISE, tuned <b>", "300", "85.0"]
    assert "95%: 84.0 to 86.0" in tables.titles
    # nothing was generated: no table of exact match
    assert tables.rows[-2][0] == "method"
    assert tables.rows[-1][:3] == ["wise", "300", "50.0"]
    assert "cost-picture" not in text, "one method's cost is no comparison"


def test_the_picture_has_those_whose_cost_is_known(board, tmp_path) -> None:
    for at, name in enumerate(("wise", "grace", "tp")):
        run = summary(50.0 + at, 60.0, method=name)
        if name != "tp":
            run["runs"]["100"] |= {"seconds_per_edit": 0.5 + at, "bytes_per_edit": 1000}
        put(tmp_path, f"emoji-edit/{name}", run)
    put(
        tmp_path,
        "emoji-edit/ablation",
        json.loads((tmp_path / "emoji-edit/wise/summary.json").read_text()),
        row={"name": "without margins", "drawn": False},
    )
    text = board.leaderboard(tmp_path)
    (picture,) = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert "without margins" in text
    assert "without margins" not in picture
    assert "grace: 51.0% at 1.5 s; wise: 50.0% at 0.5 s" in picture
    assert "tp: 52" not in picture
    assert "var(--color-foreground-primary)" in picture
    assert not re.search("#0[1-9]0[1-9]0[1-9]", picture), "a colour that is not the page's"
    assert "\n\n" not in picture.strip()


def test_a_better_row_without_a_cost_hides_none_that_has_one(board, tmp_path) -> None:
    for at, (folder, name) in enumerate((("tp", "tp"), ("some", "wise"), ("more", "wise"))):
        run = summary(50.0 + at, 60.0, method=name)
        if folder != "more":
            run["runs"]["100"] |= {"seconds_per_edit": 0.5 + at, "bytes_per_edit": 1000}
        put(tmp_path, f"emoji-edit/{folder}", run, row={"name": name})
    (picture,) = re.findall(r"<svg.*?</svg>", board.leaderboard(tmp_path), re.DOTALL)
    assert "wise: 51.0% at 1.5 s; tp: 50.0% at 0.5 s" in picture


def test_curves_are_of_methods_that_ran_with_several_numbers_of_edits(board, tmp_path) -> None:
    for folder, edits in (("some", 10), ("more", 100), ("tp", 10)):
        run = summary(60.0 + edits / 10, 70.0, edits, method=folder)
        name = {} if folder == "tp" else {"row": {"name": "wise"}}
        put(tmp_path, f"emoji-edit/{folder}", run, **name)
    put(
        tmp_path,
        "emoji-edit/old",
        summary(1.0, 1.0, 1000, backbone="another"),
        row={"name": "wise"},
    )
    text = board.leaderboard(tmp_path)
    assert text.count("### emoji-edit, over the edits in force") == 1
    (picture,) = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert "wise: Rel 61.0 70.0, T-Gen 61.0 70.0" in picture
    assert "at N = 10, 100" in picture, "what another model said is no part of a curve"
    assert "tp: Rel" not in picture


def test_the_interval_of_exact_match_is_told_where_it_is_known(board, tmp_path) -> None:
    run = summary(60.0, 70.0)
    for figures in run["runs"]["100"]["metrics"].values():
        figures["exact_interval"] = [55.5, 64.5]
    put(tmp_path, "emoji-edit/wise", run)
    assert {"95%: 55.5 to 64.5", "95%: 69.0 to 71.0"} <= set(
        _Tables(board.leaderboard(tmp_path)).titles
    )


def test_general_ability_stands_beside_as_many_edits(board, tmp_path) -> None:
    skill = {"right": 9, "n": 10, "percent": 90.0, "interval": [70.0, 100.0]}
    general = {
        "edits": 100, "before": {"easy-VQA test": skill | {"percent": 95.0}},
        "after": {"easy-VQA test": skill},
        "unchanged": {"easy-VQA test": skill, "text-only answers": skill | {"percent": 81.0}},
    }  # fmt: skip
    run = summary(60.0, 70.0)
    run["runs"] |= summary(50.0, 60.0, edits=1)["runs"]
    put(tmp_path, "emoji-edit/wise", run, general=general)
    tables = _Tables(board.leaderboard(tmp_path))
    heads = [row for row in tables.rows if row[0] == "method"]
    assert ["easy-VQA" in head for head in heads] == [False, False, True, False], "N = 1, N = 100"
    (exact,) = (row for row in tables.rows if len(row) == len(heads[2]) and row[0] == "wise")
    assert exact[15:17] == ["90.0", "81.0"]
    assert "95.0 before; 95%: 70.0 to 100.0; 10 questions" in tables.titles


def test_scope_is_told_of_every_method_that_was_asked(board, tmp_path) -> None:
    def asked(right: float) -> dict:
        return {"right": right, "interval": [right - 5, right + 5], "n": 20}

    put(tmp_path, "emoji-edit/wise", summary(60.0, 70.0))
    about = {"method": "wise", "backbone": "pocket"}
    ways = {"as it was": asked(90.0), "JPEG 15": asked(70.0), "half": asked(80.0)}
    trials = {"saved-anew": {"questions": ways}, "languages": {"questions": {"x": asked(1.0)}}}
    (tmp_path / "emoji-edit/wise/scope.json").write_text(
        json.dumps({"about": about, "trials": trials})
    )
    more = {**trials, "free-wordings": {"questions": {"free wording": asked(50.0)}}}
    put(tmp_path, "emoji-edit/grace", summary(60.0, 70.0, method="grace"))
    (tmp_path / "emoji-edit/grace/scope.json").write_text(
        json.dumps({"about": about | {"method": "grace", "limit": 9}, "trials": more})
    )
    text = board.leaderboard(tmp_path)
    assert "### emoji-edit, asked from more sides" in text
    tables = _Tables(text)
    assert tables.rows[-3:] == [
        ["method", "saved anew, worst", "free wordings"],
        ["grace", "70.0", "50.0"],
        ["wise", "70.0", ""],
    ]
    assert "JPEG 15; 95%: 65.0 to 75.0; 20 questions" in tables.titles
    assert any("9 corrections of each" in title for title in tables.titles)


def test_quoted_figures_are_the_papers(board) -> None:
    tables = _Tables(board.quoted())
    assert tables.rows[0] == [
        "method", "dataset", "backbone", "N", "Rel", "T-Gen", "M-Gen", "T-Loc", "M-Loc", "average"
    ]  # fmt: skip
    found = {tuple(row[:4]): row[4:] for row in tables.rows[1:]}
    assert found["LiveEdit", "E-VQA", "LLaVA", "1,000"] == [
        "92.93", "90.16", "84.30", "100.00", "96.43", "92.76"
    ]  # fmt: skip
    assert 'class="leaderboard quoted"' in board.quoted()


def test_the_committed_results_make_a_board(board) -> None:
    text = board.leaderboard(DOCS.parent / "results")
    rows = board.rows_of(DOCS.parent / "results")
    assert {row.summary["method"] for row in rows} >= {"liveedit", "retrieval"}
    assert text.count("```{raw} html") == text.count("\n```\n") + text.endswith("```")
