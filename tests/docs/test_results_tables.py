"""Tables in results/*/README.md are made of the summaries beside them."""

from __future__ import annotations

import importlib
import json
import sys

import pytest

from tests.docs.test_leaderboard import DOCS, put, summary

PAGE = "# Results\n\n<!-- methods: edits {} -->\nold\n<!-- end of methods -->\n\nSaid of it.\n"


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    for name in [one for one in sys.modules if one.startswith(("results_tables", "leaderboard"))]:
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("results_tables")


def lines(page: str) -> list[str]:
    return [line for line in page.splitlines() if line.startswith("| ") and "95%" not in line]


def test_the_best_is_first_and_what_was_asked_about_others_is_left_out(tables, tmp_path) -> None:
    put(tmp_path, "emoji-edit/wise", summary(60.25, 80.0))
    put(tmp_path, "emoji-edit/grace", summary(70.0, 80.0, method="grace"))
    put(tmp_path, "emoji-edit/more", summary(90.0, 80.0, edits=1000))
    put(tmp_path, "emoji-edit/forced", summary(None, 80.0))
    asked_less = summary(80.0, 80.0)
    for figures in asked_less["runs"]["100"]["metrics"].values():
        figures["n"] = 100
    put(tmp_path, "emoji-edit/some", asked_less)
    page = tables.filled(PAGE.format("100, asked 300"), tables.rows_of(tmp_path))
    assert lines(page) == [
        "| | mean | Rel | T-Gen | M-Gen | T-Loc | M-Loc | RI | CI |",
        "| [`grace`](../../docs/methods/grace.md) | 70.0 |" + " 70.0 |" * 7,
        "| [`wise`](../../docs/methods/wise.md) | 60.2 |" + " 60.2 |" * 7,
    ]
    assert page.endswith("<!-- end of methods -->\n\nSaid of it.\n")
    assert "old" not in page
    assert tables.filled(page, tables.rows_of(tmp_path)) == page


def test_rows_with_other_numbers_of_edits_stand_together(tables, tmp_path) -> None:
    for folder, exact in (("wise", (50.0, 90.0)), ("grace", (80.0, 70.0))):
        run = summary(exact[0], 80.0, edits=1, method=folder)
        run["runs"] |= summary(exact[1], 80.0, edits=10)["runs"]
        put(tmp_path, f"emoji-edit/{folder}", run, row={"link": "https://example.org"})
    page = tables.filled(PAGE.format("1 10, asked 300"), tables.rows_of(tmp_path))
    assert [line.split(" |")[0] for line in lines(page)[1:]] == [
        f"| [`{name}`](https://example.org), N&nbsp;=&nbsp;{edits}"
        for name, edits in (("wise", 1), ("wise", 10), ("grace", 1), ("grace", 10))
    ]


def test_intervals_stand_below(tables, tmp_path) -> None:
    run = summary(60.0, 70.0)
    run["runs"]["100"]["metrics"]["rel"] = {
        **run["runs"]["100"]["metrics"]["rel"], "exact_interval": [55.55, 64.5]
    }  # fmt: skip
    put(tmp_path, "emoji-edit/wise", run)
    page = tables.filled(PAGE.format("100, asked 300"), tables.rows_of(tmp_path))
    assert "| &nbsp;&nbsp;95% | | 55.5–64.5 |" + " |" * 6 + "\n" in page


@pytest.mark.parametrize(("limit", "told"), [({}, ""), ({"limit": 100}, " (100)")])
def test_what_was_asked_from_more_sides(tables, tmp_path, limit, told) -> None:
    asked = {"right": 78.44, "interval": [74.05, 82.81], "n": 320}
    scope = {
        "about": {"method": "serac"} | limit,
        "trials": {"free-wordings": {"questions": {"free wording": asked}}},
    }
    put(tmp_path, "emoji-edit/serac", summary(60.0, 70.0), scope=scope)
    scope_rows = importlib.import_module("leaderboard_scope").scope_rows
    page = "<!-- scope -->\n<!-- end of scope -->\n"
    assert tables.filled(page, [], scope_rows(tmp_path / "emoji-edit")) == (
        "<!-- scope -->\n"
        "| | free wordings |\n|---|---|\n"
        f"| [`serac`](../../docs/methods/serac.md){told} | 78.4 |\n"
        "| &nbsp;&nbsp;95% | 74.0–82.8 |\n"
        "<!-- end of scope -->\n"
    )


def test_general_ability_is_of_as_many_edits(tables, tmp_path) -> None:
    def general(edits: int, same: float) -> dict:
        skill = {"percent": 90.0, "interval": [80.0, 100.0]}
        words = skill | {"percent": same}
        return {
            "edits": edits, "before": {"easy-VQA test": skill}, "after": {"easy-VQA test": skill},
            "unchanged": {"easy-VQA test": skill, "text-only answers": words},
        }  # fmt: skip

    put(tmp_path, "emoji-edit/wise", summary(60.0, 70.0), general=general(100, 50.0))
    put(
        tmp_path,
        "emoji-edit/grace",
        summary(60.0, 70.0, method="grace"),
        general=general(100, 70.0),
    )
    put(tmp_path, "emoji-edit/tp", summary(60.0, 70.0, method="tp"), general=general(1000, 99.0))
    page = "<!-- general: edits 100 -->\n<!-- end of general -->\n"
    rows = lines(tables.filled(page, tables.rows_of(tmp_path)))
    assert [row.split(" | ")[-1] for row in rows] == ["text, the same |", "70.0 |", "50.0 |"]
    assert [row.split("`")[1] for row in rows[1:]] == ["grace", "wise"]


@pytest.mark.parametrize(
    ("page", "said"),
    [(PAGE.format("7, asked 300"), "no run"), (PAGE.format("many"), "not of the form")],
)
def test_a_table_that_cannot_be_made_is_told(tables, tmp_path, page, said) -> None:
    put(tmp_path, "emoji-edit/wise", summary(60.0, 70.0))
    with pytest.raises(ValueError, match=said):
        tables.filled(page, tables.rows_of(tmp_path))


def test_the_committed_tables_are_what_the_committed_summaries_say(
    tables, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(sys, "argv", ["results_tables.py", "--check"])
    assert tables.main() == 0, capsys.readouterr().out


def test_costs_are_those_of_as_many_edits(tables, tmp_path) -> None:
    cost = {
        "edits": 100, "seconds_per_edit": 1.236, "bytes_per_edit": 350_000,
        "prefill": {"ratio": 1.07}, "decode": {"ratio": 1.01},
        "revoke": {"0": 0.1, "10": 9.5}, "undone": {"questions": 6, "same": 6},
    }  # fmt: skip
    never = cost | {"seconds_per_edit": 0.5, "revoke": None, "undone": None}
    put(tmp_path, "emoji-edit/wise", summary(60.0, 70.0), cost=cost)
    put(tmp_path, "emoji-edit/tp", summary(60.0, 70.0, method="tp"), cost=never)
    put(tmp_path, "emoji-edit/few", summary(60.0, 70.0), cost=cost | {"edits": 10})
    (tmp_path / "trained.json").write_text('{"tp": {"minutes": 0}}')
    page = "<!-- cost: edits 100 -->\nold\n<!-- end of cost -->\n"
    assert lines(tables.filled(page, tables.rows_of(tmp_path)))[1:] == [
        "| [`tp`](../../docs/methods/tp.md) | 0 | 0.50 | 350.0 | 1.07 | 1.01 | | |",
        "| [`wise`](../../docs/methods/wise.md) | | 1.24 | 350.0 | 1.07 | 1.01 | 9.500 | 6 of 6 |",
    ]


def test_what_was_chosen_is_that_of_the_logs(tables, tmp_path) -> None:
    chosen = {
        "method": "wise", "settings": {"form": "a|b", "rate": 0.3}, "score": 15.0,
        "default_score": 13.667, "trials": 4, "of": 1370,
    }  # fmt: skip
    (tmp_path / "emoji-edit/wise/tuning").mkdir(parents=True)
    (tmp_path / "emoji-edit/wise/tuning/chosen.json").write_text(json.dumps(chosen))
    page = "<!-- tuning -->\n<!-- end of tuning -->\n"
    found = tables.filled(page, [], tuned=tables.tuned_of(tmp_path / "emoji-edit"))
    settings = r'`form="a\|b"` `rate=0.3`'
    assert lines(found)[1] == (
        f"| [`wise`](../../docs/methods/wise.md) | {settings} | 1,370 | 4 | 13.7 | 15.0 |"
    )


def test_one_correction_at_a_time(tables, tmp_path) -> None:
    put(tmp_path, "emoji-edit/alone/tp", summary(None, 80.0, edits=1, method="tp"))
    put(tmp_path, "emoji-edit/alone/wise", summary(None, 97.8, edits=1))
    put(tmp_path, "emoji-edit/wise", summary(60.0, 70.0))
    page = "<!-- alone -->\n<!-- end of alone -->\n"
    alone = tables.rows_of(tmp_path / "emoji-edit", "alone/*")
    assert lines(tables.filled(page, [], alone=alone)) == [
        "| | corrections | Rel | T-Gen | M-Gen | M-Loc |",
        "| [`wise`](../../docs/methods/wise.md) | 300 |" + " 97.8 |" * 4,
        "| [`tp`](../../docs/methods/tp.md) | 300 |" + " 80.0 |" * 4,
    ]
    assert [row.folder for row in tables.rows_of(tmp_path)] == ["emoji-edit/wise"]
