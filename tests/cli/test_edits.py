"""``liveedit edit``, ``ask`` and ``store``, on the tiny VLM with an untrained editor."""

import csv
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from liveedit import cli
from liveedit.backbones.base import Backbone
from liveedit.backbones.registry import load_backbone
from liveedit.methods.liveedit.checkpoint import save_editor
from liveedit.methods.liveedit.config import EditorConfig
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.methods.liveedit.representation import measure_scale

VERBS = [
    ["ask"], ["edit"], ["edit", "add"], ["edit", "import"], ["edit", "list"], ["edit", "show"],
    ["edit", "search"], ["edit", "revoke"], ["edit", "restore"], ["edit", "export"], ["store"],
    ["store", "check"], ["store", "compact"], ["store", "migrate"], ["store", "info"],
    ["store", "log"], ["store", "diff"],
]  # fmt: skip

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def editor(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory, pictures) -> Path:
    """An untrained editor that lets an expert through where the question is the same."""
    torch.manual_seed(1)
    backbone = load_backbone(tiny_folder)
    network = EditorNetwork(EditorConfig(width=32, heads=2, rank=4, dropout=0.0), backbone.width)
    query = backbone.query(pictures, ["What is this?"] * len(pictures))
    network.set_scale(measure_scale(backbone.states(query)[query.attention_mask.bool()]))
    network.router.margin.fill_(-100)
    network.router.prompt_bias.data.fill_(5)
    network.router.text_bias.data.fill_(5)
    network.router.vision_scale.data.fill_(1000)  # so that the nearest alone answers
    network.router.prompt_scale.data.fill_(1000)
    network.generator.v_gain.data.fill_(20)
    folder = tmp_path_factory.mktemp("editor")
    save_editor(network, backbone.fingerprint(), folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path, pictures: list[Image.Image], monkeypatch) -> Path:
    """Where the command runs: three pictures, and a store that is not there yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIVEEDIT_STORE", "edits.db")
    for number, picture in enumerate(pictures):
        picture.save(tmp_path / f"{number}.png")
    return tmp_path


@pytest.fixture(scope="module")
def loaded(tiny_folder: Path) -> Backbone:
    return load_backbone(tiny_folder)


@pytest.fixture
def run(tiny_folder: Path, editor: Path, folder: Path, loaded, monkeypatch, capsys) -> Run:
    """Run the command; what it printed, as JSON unless told otherwise."""
    needs_model = {"add", "import", "ask"}
    # the folder's model is read once, not for each command
    monkeypatch.setattr("liveedit.editor.model.load_backbone", lambda *_, **__: loaded)

    def run(*arguments: str, status: int = 0, as_json: bool = True) -> Any:
        model = ["--model", str(tiny_folder), "--editor", str(editor)]
        more = model if needs_model & set(arguments[:2]) else []
        flags = ["--json"] if as_json else []
        monkeypatch.setattr(sys, "argv", ["liveedit", *arguments, *more, *flags])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        assert (ended.value.code or 0) == status, printed.out + printed.err
        if status in (2, 3):
            assert printed.err.startswith("liveedit: ")
            return printed.err
        return json.loads(printed.out) if as_json else printed.out

    return run


def add(run: Run, picture: int | None, prompt: str, target: str, *more: str, **how: Any) -> Any:
    image = [] if picture is None else ["--image", f"{picture}.png"]
    return run("edit", "add", *image, "--prompt", prompt, "--target", target, *more, **how)


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
    assert run("store", "migrate") == {"schema": "0004"}
    assert run("store", "compact")["bytes"] > 0
    assert run("store", "check") == {"edits": 1, "revisions": 1, "problems": [], "clean": True}
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
