"""``liveedit edit``, ``ask`` and ``store``, on the tiny VLM with an untrained editor."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from liveedit import cli
from tests.cli.running import Run, add

VERBS = [
    ["ask"], ["edit"], ["edit", "add"], ["edit", "import"], ["edit", "list"], ["edit", "show"],
    ["edit", "search"], ["edit", "revoke"], ["edit", "restore"], ["edit", "export"], ["store"],
    ["store", "check"], ["store", "compact"], ["store", "migrate"], ["store", "info"],
    ["store", "log"], ["store", "diff"], ["store", "pictures"], ["store", "settings"],
    ["edit", "verify"], ["edit", "rebase"],
]  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["liveedit", *verb, "--help"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    assert "Usage" in capsys.readouterr().out


def test_add_ask_revoke_restore_and_look_back(run: Run, folder: Path) -> None:
    unedited = run("ask", "0.png", "What is this?")
    assert unedited["edits"] == []
    made = add(run, 0, "What is this?", "a violet", "--author", "ann", "--reason", "seen")
    assert made["reached"]
    assert made["conflicts"] == []
    answered = run("ask", "0.png", "What is this?")
    assert (answered["answer"], answered["revision"]) == ("a violet", 1)
    assert [one["id"] for one in answered["edits"]] == [made["id"]]
    assert run("edit", "revoke", made["id"], "--author", "bob", "--reason", "wrong") == {
        "revision": 2, "revoked": [made["id"]],
    }  # fmt: skip
    assert run("ask", "0.png", "What is this?")["answer"] == unedited["answer"]
    assert run("ask", "0.png", "What is this?", "--as-of", "1")["answer"] == "a violet"
    assert run("edit", "list") == []
    (entry,) = run("edit", "list", "--as-of", "1")
    assert (entry["id"], entry["author"], entry["reason"]) == (made["id"], "ann", "seen")
    assert [one["state"] for one in run("edit", "list", "--all")] == ["revoked"]
    assert run("edit", "restore", made["id"])["revision"] == 3
    assert run("ask", "0.png", "What is this?")["answer"] == "a violet"
    shown = run("edit", "show", made["id"], "--picture", "small.webp")
    assert [one["kind"] for one in shown["history"]] == ["add", "revoke", "restore"]
    assert [one["author"] for one in shown["history"]] == ["ann", "bob", ""]
    assert Image.open(folder / "small.webp").size == (160, 120)
    diff = run("store", "diff", "0")
    assert [edit["id"] for edit in diff["came"]] == [made["id"]]
    assert run("store", "diff", "1", "3") == {"came": [], "went": []}
    assert run("edit", "search", "VIOL")[0]["id"] == made["id"]
    assert run("edit", "search", "tulip", status=1) == []
    assert "4" in run("ask", "0.png", "What is this?", "--as-of", "4", status=2)


def test_settings_of_the_method_are_taken_from_a_file(run: Run, folder: Path) -> None:
    chosen = folder / "chosen.json"
    chosen.write_text('{"method": "liveedit", "settings": {"sentence_encoder": true}}')
    made = add(run, 0, "What is this?", "a violet")

    def scores(question: str, *more: str) -> dict[str, float]:
        told = run("ask", "0.png", question, "--explain", *more)
        return {one["id"]: one["prompt"] for one in told["edits"]}

    same, other = "What is this?", "How many birds are there?"
    with_words = {one: scores(one, "--settings", str(chosen))[made["id"]] for one in (same, other)}
    without = {one: scores(one)[made["id"]] for one in (same, other)}
    assert with_words[same] == pytest.approx(without[same] + 3, abs=1e-3), "6 (1 - 0.5)"
    assert with_words[other] < without[other] - 1
    again = add(run, 0, "What is this?", "a tulip", "--settings", str(chosen))
    assert [one["kind"] for one in again["conflicts"]] == ["contradicts"]
    chosen.write_text('{"method": "grace", "settings": {}}')
    told = run("ask", "0.png", same, "--settings", str(chosen), status=2)
    assert "give --method grace" in told


def test_a_text_only_correction_and_question(run: Run) -> None:
    made = add(run, None, "Who is it?", "a king")
    assert made["image"] is None
    assert run("ask", "-", "Who is it?")["answer"] == "a king"
    assert run("edit", "show", made["id"], as_json=False)
    assert "no picture" in run(
        "edit", "show", made["id"], "--picture", "x.webp", status=1, as_json=False
    )


def test_conflicts_are_shown_before_the_write_and_may_be_refused(run: Run) -> None:
    first = add(run, 0, "What is this?", "a violet")
    preview = add(run, 0, "What is this?", "a rose", "--preview")
    assert [(one["id"], one["kind"]) for one in preview["conflicts"]] == [
        (first["id"], "contradicts")
    ]
    assert not preview["written"]
    refused = add(run, 0, "What is this?", "a rose", "--refuse-conflicts", status=3)
    assert first["id"] in refused
    repeated = add(run, 0, "What is this?", "a violet", "--refuse-conflicts", status=3)
    assert "repeats" in repeated
    assert run("store", "info")["revision"] == 1
    printed = add(run, 0, "What is this?", "a rose", as_json=False)
    assert f"supersedes {first['id']}" in printed
    assert {one["state"] for one in run("edit", "list", "--all")} == {"superseded", "in force"}


def test_namespaces_are_chosen_for_each_query(run: Run) -> None:
    unedited = run("ask", "0.png", "What is this?")["answer"]
    add(run, 0, "What is this?", "a violet", "--namespace", "a")
    made = add(run, 0, "What is this?", "a rose", "--namespace", "b")
    assert made["conflicts"] == []
    answers = [run("ask", "0.png", "What is this?", "--namespace", name)["answer"] for name in "ab"]
    assert answers == ["a violet", "a rose"]
    assert run("ask", "0.png", "What is this?")["answer"] == unedited
    assert len(run("edit", "list", "--namespace", "a")) == 1
    assert run("store", "info")["namespaces"] == {"a": 1, "b": 1}


def test_another_editors_store_is_refused(run: Run, tiny_folder, tmp_path, editor) -> None:
    add(run, 0, "What is this?", "a violet")
    with sqlite3.connect("edits.db") as connection:
        other = connection.execute("SELECT fingerprint FROM stores").fetchone()[0]
        changed = json.dumps(json.loads(other) | {"editor": "another", "dtype": "float8"})
        connection.execute("UPDATE stores SET fingerprint = ?", (changed,))
    told = run("ask", "0.png", "What is this?", status=2)
    assert "editor: store 'another'" in told
    assert "dtype: store 'float8'" in told


def test_looking_after_a_store(run: Run, folder: Path) -> None:
    assert "does not exist" in run("store", "info", status=2)
    made = add(run, 0, "What is this?", "a violet")
    assert run("store", "migrate") == {"schema": "0006"}
    assert run("store", "compact")["bytes"] > 0
    assert run("store", "check") == {
        "edits": 1, "revisions": 1, "pictures": 1, "problems": [], "clean": True,
    }  # fmt: skip
    assert "clean" in run("store", "check", as_json=False)
    line = run("store", "log")
    assert (line["revision"], line["kind"], line["edits"]) == (1, "add", [made["id"]])
    with sqlite3.connect("edits.db") as connection:
        connection.execute("UPDATE edits SET target = 'a rose'")
    report = run("store", "check", status=1)
    assert not report["clean"]
    assert made["id"] in report["problems"][0]
    assert run("ask", "0.png", "What is this?")["edits"] == []
    assert run("edit", "list", "--all")[0]["state"] == "damaged"


@pytest.mark.parametrize(
    "arguments", [["edit", "show", "x"], ["edit", "revoke", "x"], ["edit", "restore", "x"]]
)
def test_an_edit_that_is_not_there(run: Run, arguments: list[str]) -> None:
    add(run, None, "Who is it?", "a king")
    assert "'x'" in run(*arguments, status=2)
    assert run("store", "info")["revision"] == 1


def test_listing_does_not_load_torch(run: Run) -> None:
    add(run, None, "Who is it?", "a king")
    code = (
        "import sys; sys.argv = ['liveedit', 'edit', 'list']\n"
        "from liveedit import cli\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "a king" in done.stdout


@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_ids_are_whole_on_a_screen_of_any_width(run: Run, monkeypatch, columns: str) -> None:
    made = add(run, None, "Who is the king of the whole country, and why?", "a king")
    monkeypatch.setenv("COLUMNS", columns)
    assert made["id"] in run("edit", "list", as_json=False)


def test_in_a_c_locale_tables_and_umlauts_end_in_no_traceback(run: Run) -> None:
    add(run, None, "Wer ist das, bitte schön?", "König Löwe")
    plain = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    for command in (["edit", "list"], ["edit", "search", "Löwe"], ["edit", "list", "--json"]):
        done = subprocess.run(
            [sys.executable, "-m", "liveedit", *command],
            capture_output=True,
            env=os.environ | plain,
        )
        assert done.returncode == 0, done.stderr.decode()
        assert b"K\\xf6nig" in done.stdout


def test_the_folder_of_a_store_is_made(run: Run, tmp_path: Path) -> None:
    place = tmp_path / "new" / "folder" / "edits.db"
    run("edit", "add", "--prompt", "Who?", "--target", "me", "--store", str(place))
    assert place.is_file()
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "edits.db"
    asked = ("--prompt", "Who?", "--target", "me", "--store", str(place))
    assert "cannot be made" in run("edit", "add", *asked, status=2)
