"""``liveedit edit verify``, ``edit rebase`` and ``store pictures``, on the tiny VLM."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.running import Run, add
from tests.store.samples import content

ASKED = "What is this?"


@pytest.fixture
def corrected(run: Run) -> list[str]:
    """Names of three edits, the second superseded by the third."""
    first = add(run, None, "Who is it?", "a king", "--author", "ann")
    second = add(run, 0, ASKED, "a violet")
    third = add(run, 0, ASKED, "a rose", "--reason", "seen")
    return [one["id"] for one in (first, second, third)]


def in_force(run: Run, store: str) -> list[dict[str, object]]:
    return run("edit", "list", "--all", "--store", store)


def test_corrections_are_carried_over_and_the_old_store_stays(
    run: Run, corrected: list[str], folder: Path
) -> None:
    before = in_force(run, "edits.db")
    report = run("edit", "rebase", "--to", "new.db", "--batch", "2")
    assert report == {
        "made": corrected, "right": [], "not_reached": [], "outdated": [], "thumbnails": [],
    }  # fmt: skip
    drop = ("revision",)
    assert [
        {name: one[name] for name in one if name not in drop} for one in in_force(run, "new.db")
    ] == [{name: one[name] for name in one if name not in drop} for one in before]
    assert in_force(run, "edits.db") == before
    assert run("ask", "0.png", ASKED, "--store", "new.db")["answer"] == "a rose"
    info = run("store", "info", "--store", "new.db")
    assert info["rebased_from"] == "edits.db"
    assert info["pictures"]["kept"] == 1
    assert info["pictures"]["bytes"] == (folder / "0.png").stat().st_size
    told = run("edit", "rebase", "--to", "new.db", as_json=False)
    assert "3 made, 0 right without an edit, 0 not reached" in told


def test_the_settings_of_the_old_store_are_taken_over(run: Run, folder: Path) -> None:
    chosen = {"method": "liveedit", "settings": {"refine_steps": 120}}
    Path("chosen.json").write_text(json.dumps(chosen))
    add(run, 0, ASKED, "a violet", "--settings", "chosen.json")
    run("edit", "rebase", "--to", "new.db")
    kept = run("store", "settings", "--store", "new.db")["settings"]
    assert kept == {"refine_steps": 120}
    Path("others.json").write_text(json.dumps(chosen | {"settings": {"refine_steps": 30}}))
    run("edit", "rebase", "--to", "newer.db", "--settings", "others.json")
    kept = run("store", "settings", "--store", "newer.db")["settings"]
    assert kept == {"refine_steps": 30}


def test_what_a_rebase_refuses_is_one_sentence_and_nothing_is_written(
    run: Run, corrected: list[str], folder: Path
) -> None:
    with (
        closing(sqlite3.connect("edits.db")) as whole,  # with what is in its journal
        closing(sqlite3.connect("copy.db")) as copy,
    ):
        whole.backup(copy)
    Path("link.db").symlink_to("edits.db")
    torn = b"no database at all" * 100
    Path("torn.db").write_bytes(torn)
    there = content(Path("edits.db"))
    for to, words in (
        ("edits.db", "is the store itself"),
        ("link.db", "is the store itself"),
        ("copy.db", "holds edits already"),
        ("torn.db", "cannot be used as a store"),
    ):
        told = run("edit", "rebase", "--to", to, status=2)
        assert words in told
        assert len(told.strip().splitlines()) == 1
    assert [content(Path(name)) for name in ("edits.db", "copy.db")] == [there] * 2
    assert Path("torn.db").read_bytes() == torn
    assert "does not exist" in run("edit", "rebase", "--store", "x.db", "--to", "y.db", status=2)
    for name in corrected[::2]:
        run("edit", "revoke", name)
    run("edit", "revoke", corrected[1])
    assert "no correction" in run("edit", "rebase", "--to", "y.db", status=2)
    assert not Path("y.db").exists()
    assert not Path("x.db").exists()


def test_what_is_not_reached_is_listed_with_the_reason(run: Run, corrected: list[str]) -> None:
    with sqlite3.connect("edits.db") as connection:
        connection.execute("DELETE FROM files")
        connection.execute("DELETE FROM pictures")
    told = run("edit", "rebase", "--to", "new.db", status=4)
    assert told["made"] == corrected[:1]
    assert [one["id"] for one in told["not_reached"]] == corrected[1:]
    assert "thumbnail is missing" in told["not_reached"][0]["why"]
    shown = run("edit", "rebase", "--to", "new.db", status=4, as_json=False)
    assert f"not reached: {corrected[1]}" in shown


def test_a_store_that_kept_thumbnails_says_so_and_takes_pictures_later(
    run: Run, folder: Path
) -> None:
    made = add(run, 0, ASKED, "a violet", "--pictures", "off")
    told = run("store", "pictures")
    assert (told["keep"], told["kept"], told["edits"], told["thumbnail_only"]) == ("off", 0, 1, 1)
    report = run("edit", "rebase", "--to", "small.db")
    assert report["thumbnails"] == [made["id"]]
    assert "from a thumbnail" in run("edit", "rebase", "--to", "small.db", as_json=False)
    (verified,) = run("edit", "verify")
    assert (verified["holds"], verified["shown"]) == (True, "thumbnail")
    assert "--add" in run("edit", "verify", as_json=False)
    assert "keeps no pictures" in run("store", "pictures", "--add", ".", status=2)
    told = run("store", "pictures", "--keep", "files", "--add", ".", "--total", "1")
    assert (told["added"], told["kept"], told["total_at_most"]) == (1, 1, 1_000_000)
    assert run("edit", "rebase", "--to", "whole.db")["thumbnails"] == []
    assert run("store", "pictures", "--drop", "unused")["dropped"] == 0
    assert run("store", "pictures", "--drop", "all")["dropped"] == 1
    assert "no folder" in run("store", "pictures", "--add", "none", status=2)


def test_verify_says_what_holds_and_makes_the_rest_anew(
    run: Run, corrected: list[str], capsys
) -> None:
    assert [one["holds"] for one in run("edit", "verify")] == [True, True]
    assert "2 of 2 hold" in run("edit", "verify", as_json=False)
    assert "does not exist" in run("edit", "verify", "--store", "x.db", status=2)
    assert not Path("x.db").exists()
    with sqlite3.connect("edits.db") as connection:
        told = connection.execute("SELECT fingerprint FROM stores").fetchone()[0]
        changed = json.dumps(json.loads(told) | {"dtype": "float64"}, sort_keys=True)
        connection.execute("UPDATE stores SET fingerprint = ?", (changed,))
        connection.execute("UPDATE edits SET fingerprint = ''")
    # a store of the same model in other numbers opens, here with nothing in it that was made so
    assert run("ask", "0.png", ASKED)["edits"] == []


def test_an_export_is_with_pictures_unless_it_shall_not(run: Run, corrected: list[str]) -> None:
    run("edit", "export", "--out", "whole")
    run("edit", "export", "--out", "small", "--no-pictures")
    assert len(list(Path("whole/files").iterdir())) == 1
    assert not Path("small/files").exists()
    assert run("edit", "import", "whole", "--store", "other.db")["added"] == 3
    assert run("store", "info", "--store", "other.db")["pictures"]["kept"] == 1
