"""Taking back an edit whose later ones may build on it, from the command line."""

import json
import sys

import pytest

from liveedit import cli


@pytest.fixture
def run(tiny_folder, folder, loaded, monkeypatch, capsys):
    monkeypatch.setattr("liveedit.editor.lifetime.load_backbone", lambda *_, **__: loaded)

    def run(*arguments: str, status: int = 0):
        monkeypatch.setattr(sys, "argv", ["liveedit", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        assert (ended.value.code or 0) == status, printed.err
        return json.loads(printed.out) if not status else printed.err

    return run


def add(run, tiny_folder, number: int, target: str, method: str = "ft-l"):
    return run(
        "edit", "add", "--image", f"{number}.png", "--prompt", "What is this?", "--target", target,
        "--keep", "--method", method, "--model", str(tiny_folder), "--json",
    )  # fmt: skip


def test_revoke_makes_later_edits_again(run, tiny_folder) -> None:
    first, second = (
        add(run, tiny_folder, at, target) for at, target in enumerate(("a violet", "a mug"))
    )
    told = run("edit", "revoke", first["id"], "--model", str(tiny_folder), "--json")
    assert told == {"revision": 4, "revoked": [first["id"]]}
    (left,) = run("edit", "list", "--json")
    assert (left["target"], left["supersedes"]) == ("a mug", [second["id"]])
    states = {one["id"]: one["state"] for one in run("edit", "list", "--all", "--json")}
    assert states == {first["id"]: "revoked", second["id"]: "superseded", left["id"]: "in force"}
    refused = run("edit", "restore", first["id"], "--model", str(tiny_folder), status=2)
    assert "cannot put a revoked edit in force again" in refused
    assert "correct the answer anew" in refused


def test_several_are_taken_back_at_once_or_none(run, tiny_folder) -> None:
    first, second, third = (
        add(run, tiny_folder, at % 2, target)["id"]
        for at, target in enumerate(("a violet", "a mug", "tea"))  # tea in place of the violet
    )
    loading = ("--model", str(tiny_folder), "--json")
    assert "nothing" in run("edit", "revoke", second, "nothing", *loading, status=2)
    assert [one["target"] for one in run("edit", "list", "--json")] == ["a mug", "tea"]
    told = run("edit", "revoke", second, third, *loading)
    assert told == {"revision": 5, "revoked": [second, third]}
    (left,) = run("edit", "list", "--json")
    assert (left["target"], left["supersedes"]) == ("a violet", [first])


def test_edits_that_happen_not_to_build_on_each_other_come_back(run, tiny_folder) -> None:
    first, second = (
        add(run, tiny_folder, at, target, "lemoe")
        for at, target in enumerate(("a violet", "a mug"))
    )
    loading = ("--model", str(tiny_folder), "--json")
    run("edit", "revoke", first["id"], *loading)
    assert [one["id"] for one in run("edit", "list", "--json")] == [second["id"]]
    assert "nothing" in run("edit", "restore", first["id"], "nothing", *loading, status=2)
    assert [one["id"] for one in run("edit", "list", "--json")] == [second["id"]]
    told = run("edit", "restore", first["id"], *loading)
    assert told == {"revision": 4, "restored": [first["id"]]}
    assert {one["id"] for one in run("edit", "list", "--json")} == {first["id"], second["id"]}
