"""Imports, exports, and what is not put in force."""

import csv
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from liveedit import cli
from liveedit.backbones.base import Backbone
from tests.cli.running import Run, add

ROWS = [
    {"image": "0.png", "prompt": "What is this?", "target": "a violet", "author": "ann"},
    {"image": "1.png", "prompt": "Where is it?", "target": "in Rome", "namespace": "a"},
    {"image": "", "prompt": "Who is it?", "target": "a king"},
    {"image": "0.png", "prompt": "What is this?", "target": "a violet", "reason": "twice"},
    {"image": "2.png", "prompt": "Why?", "target": "because"},
]


def written(folder: Path, kind: str, rows: list[dict[str, str]]) -> str:
    file = folder / f"corrections.{kind}"
    if kind == "jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        with file.open("w", newline="") as opened:
            names = ["image", "prompt", "target", "author", "reason", "namespace"]
            writer = csv.DictWriter(opened, names)
            writer.writeheader()
            writer.writerows(rows)
    return file.name


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_an_import_may_be_started_again(run: Run, folder: Path, kind: str) -> None:
    file = written(folder, kind, ROWS[:2])
    first = run("edit", "import", file, "--batch", "1", "--reason", "all")
    assert (first["added"], first["known"], first["bad"]) == (2, 0, [])
    assert [one["reason"] for one in first["edits"]] == ["all", "all"]
    assert run("store", "info")["revision"] == 2
    file = written(folder, kind, ROWS)
    again = run("edit", "import", file, "--batch", "2")
    assert (again["added"], again["known"]) == (2, 3)
    listed = run("edit", "list")
    assert sorted(one["target"] for one in listed) == ["a king", "a violet", "because", "in Rome"]
    assert {one["namespace"] for one in listed} == {"", "a"}
    run("edit", "revoke", listed[0]["id"])
    last = run("edit", "import", file)
    assert (last["added"], last["known"]) == (0, 5), "what was revoked is not made again"
    assert run("ask", "2.png", "Why?")["answer"] == "because"


def test_bad_lines_are_named_and_nothing_is_written(run: Run, folder: Path) -> None:
    good = [json.dumps(row) for row in ROWS[:1]]
    bad = [
        "no json",
        '{"prompt": "only"}',
        '{"prompt": "a", "target": "b", "imgae": "0.png"}',
        '{"prompt": "a", "target": "b", "image": "nowhere.png"}',
        '{"prompt": " ", "target": "b"}',
        '{"prompt": 1, "target": "b"}',
        "[]",
    ]
    (folder / "c.jsonl").write_text("\n".join(bad + good))
    told = run("edit", "import", "c.jsonl", status=2)
    for line in range(1, 8):
        assert f"line {line}: " in told
    assert not (folder / "edits.db").exists()
    (folder / "1.png").write_bytes(b"no picture")
    worse = [
        '{"prompt": "What is <image>?", "target": "b"}',
        '{"prompt": "a", "target": "b", "image": "1.png"}',
    ]
    (folder / "c.jsonl").write_text("\n".join(bad + good + worse))
    report = run("edit", "import", "c.jsonl", "--skip-bad")
    assert report["added"] == 1
    assert [line.split(":")[0] for line in report["bad"]] == [
        f"line {line}" for line in (*range(1, 8), 9, 10)
    ]
    assert "cannot be read" in run("edit", "import", "nothing.jsonl", status=2)


@pytest.fixture
def unwilling(loaded: Backbone, monkeypatch) -> None:
    """The model is asked about every edit, and says something else to one target."""
    generate = loaded.generate

    def other(query: Any, **options: Any) -> list[str]:
        answers = generate(query, **options)
        return ["something else" if one.strip() == "a rose" else one for one in answers]

    monkeypatch.setattr(type(loaded), "changes_scores", True)
    monkeypatch.setattr(loaded, "generate", other)


@pytest.mark.usefixtures("unwilling")
def test_what_is_not_reached_is_refused_unless_it_is_kept(run: Run) -> None:
    told = add(run, 0, "What is this?", "a rose", status=4)
    assert "would still be answered 'something else'" in told
    assert "--keep" in told
    preview = add(run, 0, "What is this?", "a rose", "--preview")
    assert (preview["reached"], preview["written"]) == (False, False)
    assert preview["answer"] == "something else"
    assert add(run, 0, "What is this?", "a violet")["reached"]
    assert len(run("edit", "list")) == 1
    add(run, 1, "What is this?", "a rose", "--keep")
    assert len(run("edit", "list")) == 2


@pytest.mark.usefixtures("unwilling")
def test_an_import_names_what_is_not_reached(run: Run, folder: Path) -> None:
    rows = [
        {"image": "0.png", "prompt": "What is this?", "target": "a violet"},
        {"images": ["1.png", "2.png"], "prompt": "Which is red?", "target": "a rose"},
        {"prompt": "Who is it?", "target": "a king", "rephrasings": ["Who?", "Whose face?"]},
    ]
    (folder / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert "nothing was written" in run("edit", "import", "c.jsonl", status=4)
    some = ("edit", "import", "c.jsonl", "--batch", "1")
    assert "only the 1 before were written" in run(*some, status=4)
    report = run("edit", "import", "c.jsonl", "--skip-unreached", status=4)
    assert [one["line"] for one in report["refused"]] == [2]
    assert report["refused"][0]["answer"] == "something else"
    assert [one["target"] for one in report["edits"]] == ["a king"]  # the violet was there
    assert report["edits"][0]["rephrasings"] == ["Who?", "Whose face?"]
    assert [one["target"] for one in run("edit", "list")] == ["a violet", "a king"]
    told = run("edit", "import", "c.jsonl", "--skip-unreached", status=4, as_json=False)
    assert "refused: line 2: Which is red? -> a rose" in told
    assert "0 added, 2 known before, 1 left out" in told
    assert run("edit", "import", "c.jsonl", "--keep")["known"] == 2
    assert len(run("edit", "list")) == 3


def test_keeping_and_skipping_is_bad_usage(monkeypatch, capsys) -> None:
    arguments = ["edit", "import", "c.jsonl", "--store", "e.db", "--keep", "--skip-unreached"]
    monkeypatch.setattr(sys, "argv", ["liveedit", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "give one of the two" in capsys.readouterr().err


def test_an_export_imports_elsewhere(run: Run, folder: Path, monkeypatch) -> None:
    run("edit", "import", written(folder, "jsonl", ROWS))
    made = add(run, 0, "What is this?", "a | <b>rose</b>")
    gone = add(run, 1, "How many?", "seven")
    run("edit", "revoke", gone["id"])
    run("edit", "export", "--out", "out")
    assert "is not empty" in run("edit", "export", "--out", "out", status=2)
    card = (folder / "out" / "README.md").read_text()
    assert "a \\| &lt;b&gt;rose" in card
    assert "| in force | 4 |" in card
    monkeypatch.setenv("LIVEEDIT_STORE", "other.db")
    assert run("edit", "import", "out") == {"added": 5, "known": 0, "bad": []}
    assert run("edit", "import", "out") == {"added": 0, "known": 5, "bad": []}
    assert run("ask", "0.png", "What is this?")["edits"][0]["id"] == made["id"]
    states = {one["target"]: one["state"] for one in run("edit", "list", "--all")}
    assert states["a violet"] == "superseded"
    assert "seven" not in states
    assert run("store", "check")["clean"]
    tensors = folder / "out" / "edits-00001.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-1] + b"x")
    monkeypatch.setenv("LIVEEDIT_STORE", "third.db")
    assert "copy the folder again" in run("edit", "import", "out", status=2)
    assert run("edit", "list", "--all") == []


def look_alikes(folder: Path) -> str:
    """A second answer about the same picture, and one about another."""
    rows = [
        {"image": "0.png", "prompt": "What is this?", "target": "a violet"},
        {"image": "0.png", "prompt": "What is this?", "target": "a tulip"},
        {"image": "1.png", "prompt": "What is this?", "target": "a poppy"},
    ]
    return written(folder, "jsonl", rows)


def test_a_preview_names_conflicts_and_writes_nothing(run: Run, folder: Path) -> None:
    file = look_alikes(folder)
    told = run("edit", "import", file, "--batch", "1", "--preview", as_json=False)
    assert "What is this? -> a tulip: supersedes" in told
    assert "3 would be added" in told
    previewed = run("edit", "import", file, "--preview")
    assert previewed["written"] is False
    kinds = [[one["kind"] for one in row["conflicts"]] for row in previewed["edits"]]
    assert kinds[:2] == [[], ["contradicts"]]
    assert run("edit", "import", file)["added"] == 3  # nothing was there
    assert [one["target"] for one in run("edit", "list")] == ["a tulip", "a poppy"]


@pytest.mark.parametrize(("which", "left"), [("same", 2), ("never", 3)])
def test_people_choose_what_goes_out_of_force(run: Run, folder: Path, which, left) -> None:
    run("edit", "import", look_alikes(folder), "--supersede", which, "--keep")
    assert len(run("edit", "list")) == left


def test_a_preview_of_many_conflicts_is_short(run: Run, folder: Path) -> None:
    rows = [
        {"image": "0.png", "prompt": "What is this?", "target": f"number {n}"} for n in range(24)
    ]
    told = run(
        "edit", "import", written(folder, "jsonl", rows), "--preview", "--supersede", "never",
        as_json=False,
    )  # fmt: skip
    assert told.count("contradicts") == 20
    assert "more; --json names all" in told
    assert run("edit", "import", file := written(folder, "jsonl", rows[:1]))["added"] == 1, file
