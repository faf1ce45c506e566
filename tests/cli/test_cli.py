import json
import subprocess
import sys
from pathlib import Path

import pytest

from liveedit import cli
from liveedit.pocket import assembly
from tests.photographs import photo_folder

VERBS = [
    [],
    ["demo"],
    ["train"],
    ["bench"],
    ["bench", "run"],
    ["bench", "tune"],
    ["pocket"],
    ["pocket", "build"],
]


def run(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the command in this process; gives its exit status."""
    monkeypatch.setattr(sys, "argv", ["liveedit", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code or 0  # type: ignore[return-value]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb, monkeypatch, capsys) -> None:
    assert run([*verb, "--help"], monkeypatch) == 0
    assert "Usage" in capsys.readouterr().out


def test_help_does_not_load_torch() -> None:
    code = (
        "import sys; sys.argv = ['liveedit', '--help']\n"
        "from liveedit.cli import app\n"
        "try: app()\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_package_can_be_run_as_a_module() -> None:
    """As launchers of several processes do."""
    command = [sys.executable, "-m", "liveedit", "--version"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("liveedit ")


def one_sentence(capsys: pytest.CaptureFixture[str]) -> str:
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("liveedit:")]
    assert len(lines) == 1
    return lines[0]


def test_a_folder_without_editor(pocket_folder, tmp_path, monkeypatch, capsys) -> None:
    arguments = ["bench", "run", "--editor", str(tmp_path), "--out", str(tmp_path / "out")]
    assert run(arguments, monkeypatch) == 2
    assert "is not an editor checkpoint" in one_sentence(capsys)
    assert not (tmp_path / "out").exists()


def test_an_editor_for_a_layer_that_is_not_there(
    pocket_folder, tmp_path, monkeypatch, capsys
) -> None:
    from liveedit.methods.liveedit.checkpoint import CONFIG_FILE, WEIGHTS_FILE
    from liveedit.pocket.source import shipped_editor

    described = json.loads((shipped_editor() / CONFIG_FILE).read_text())
    described["backbone"]["edit_layer"] = 99
    (tmp_path / CONFIG_FILE).write_text(json.dumps(described))
    (tmp_path / WEIGHTS_FILE).write_bytes((shipped_editor() / WEIGHTS_FILE).read_bytes())
    arguments = ["demo", "--editor", str(tmp_path), "--out", str(tmp_path / "page.html")]
    assert run(arguments, monkeypatch) == 2
    assert "edit_layer" in one_sentence(capsys)
    assert not (tmp_path / "page.html").exists()


def test_no_model_there(tmp_path, monkeypatch, capsys) -> None:
    arguments = ["bench", "run", "--model", str(tmp_path), "--out", str(tmp_path / "out")]
    assert run(arguments, monkeypatch) == 2
    assert "no folder with a transformers model" in one_sentence(capsys)


def test_no_wheel(tmp_path, monkeypatch, capsys) -> None:
    missing = ("no_such_package", "file.gguf", "pip install no-such-package")
    monkeypatch.setattr(assembly, "_LANGUAGE_MODEL", missing)
    assert run(["pocket", "build", "--cache", str(tmp_path)], monkeypatch) == 2
    assert "pip install no-such-package" in one_sentence(capsys)
    assert list(tmp_path.iterdir()) == []


def test_demo_as_json(pocket_folder, tmp_path: Path, monkeypatch, capsys) -> None:
    page = tmp_path / "page.html"
    monkeypatch.setattr(sys, "argv", ["liveedit", "demo", "--json", "--out", str(page)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code in (0, None)
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 5
    assert len({row["family"] for row in rows}) == 5
    wanted = {
        "prompt", "target", "before", "after", "rephrased", "about_another", "neighbour_before",
        "neighbour_after", "revoked",
    }  # fmt: skip
    for row in rows:
        assert wanted <= row.keys()
        assert row["before"] != row["target"]
        assert row["revoked"] == row["before"]
    assert sum(row["after"] == row["target"] for row in rows) >= 4
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.fixture
def bench(tiny_folder, tmp_path, monkeypatch) -> list[str]:
    """Arguments that measure an untrained editor of the tiny VLM on few corrections."""
    from liveedit.backbones.registry import load_backbone
    from liveedit.methods.liveedit.checkpoint import save_editor
    from liveedit.methods.liveedit.config import EditorConfig
    from liveedit.methods.liveedit.network import EditorNetwork

    monkeypatch.setenv("LIVEEDIT_CACHE", str(tmp_path / "cache"))
    backbone = load_backbone(tiny_folder)
    network = EditorNetwork(EditorConfig(width=32, heads=2, rank=4), backbone.width)
    save_editor(network, backbone.fingerprint(), tmp_path / "editor")
    return [
        "bench", "run", "--model", str(tiny_folder), "--editor", str(tmp_path / "editor"),
        "--split", "validation", "--limit", "6", "--out", str(tmp_path / "out"),
    ]  # fmt: skip


def test_bench_run_writes_what_it_says(bench, tmp_path, monkeypatch, capsys) -> None:
    assert run([*bench, "--edits", "4,6", "--json"], monkeypatch) == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert json.loads(capsys.readouterr().out) == summary
    assert summary["dataset"] == "emoji-edit"
    assert summary["split"] == "validation"
    assert summary["method"] == "liveedit"
    assert summary["corrections"] == 6
    assert summary["editing"]["supersede"] == "same"
    assert summary["editing"]["refine_steps"] > 0
    assert "retention" not in summary
    assert list(summary["runs"]) == ["4", "6"]
    metrics = summary["runs"]["4"]["metrics"]
    assert set(metrics) == {
        "rel", "t_gen", "m_gen", "t_loc", "m_loc", "ri", "ci", "ni",
        "text_rel", "text_gen", "text_strict",
    }  # fmt: skip
    records = [json.loads(line) for line in (tmp_path / "out" / "records-4.jsonl").open()]
    seen = [record for record in records if not record["metric"].startswith("text")]
    assert [record["group"] for record in seen] == [0] * 32 + [1] * 16
    for name, figures in metrics.items():
        rows = [record for record in records if record["metric"] == name]
        # of text-only corrections there is one beside each of the two groups
        assert figures["n"] == len(rows) == (2 if name.startswith("text") else 6)
        accuracy = 100 * sum(row["accuracy"] for row in rows) / len(rows)
        assert figures["accuracy"] == pytest.approx(accuracy, abs=0.01)
        assert 0 <= figures["exact_match"] <= 100
    assert (tmp_path / "cache").is_dir()


def test_switches_of_bench_run(bench, tmp_path, monkeypatch, capsys) -> None:
    switches = ["--no-generate", "--no-refine", "--no-supersede", "--retention"]
    monkeypatch.setattr("liveedit.benchmark.retention.FIRST", 6)
    assert run([*bench, "--edits", "6", *switches], monkeypatch) == 0
    printed = " ".join(capsys.readouterr().out.split())  # titles are wrapped
    assert "groups of 6" in printed
    assert "0 more after them" in printed
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["editing"]["supersede"] == "never"
    assert summary["editing"]["refine_steps"] == 0
    assert list(summary["retention"]) == ["0"], "six corrections leave none to come later"
    figures = summary["runs"]["6"]["metrics"].values()
    assert {row["exact_match"] for row in figures} == {None}


@pytest.mark.parametrize("edits", ["x", "", "0", "1,-2", "1,,2", "1.5"])
def test_a_number_of_edits_that_is_none(edits, tmp_path, monkeypatch, capsys) -> None:
    arguments = ["bench", "run", "--edits", edits, "--out", str(tmp_path / "out")]
    assert run(arguments, monkeypatch) == 2
    assert "--edits" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--suite", "look-alike"], "look-alikes"),
        (["--suite", "all", "--asked", "3"], "--asked"),
        (["--suite", "all", "--no-generate"], "--no-generate"),
        (["--suite", "look-alikes", "--dataset", "vlkeb"], "several-of-a-thing"),
    ],
)
def test_a_suite_that_cannot_be_run_is_refused_before_a_model_is_loaded(
    options, named, tmp_path, monkeypatch, capsys
) -> None:
    arguments = ["bench", "run", "--model", "nowhere", "--out", str(tmp_path / "out"), *options]
    assert run(arguments, monkeypatch) == 2
    assert named in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_photo_edit_is_measured_and_reported(bench, tmp_path, monkeypatch, capsys) -> None:
    photos = photo_folder(tmp_path / "photos")
    (photos / "drum" / "0.jpg").write_bytes(b"none")
    some = ["--dataset", "photo-edit", "--images", str(photos), "--edits", "6"]
    assert run([*bench, *some, "--json"], monkeypatch) == 0
    printed = capsys.readouterr()
    summary = json.loads(printed.out)
    assert "left out: drum/0.jpg" in printed.err
    assert summary["dataset"] == "photo-edit"
    assert {"candle", "drum", "fan"} <= set(summary["look_alikes"])
    assert {"rel", "m_gen", "ri", "ci"} <= set(summary["runs"]["6"]["metrics"])
    out = tmp_path / "report"
    assert run(["bench", "report", str(tmp_path / "out"), "--out", str(out)], monkeypatch) == 0
    assert (out / "index.html").exists() or list(out.glob("*.html"))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--dataset", "photo-edit"], "--images"),
        (["--dataset", "photo-edit", "--images", ".", "--annotations", "x"], "--annotations"),
        (["--dataset", "e-vqa", "--images", "."], "--annotations"),
        (["--images", "."], "--images"),
    ],
)
def test_a_dataset_needs_its_files(options, named, tmp_path, monkeypatch, capsys) -> None:
    arguments = ["bench", "run", "--model", "nowhere", "--out", str(tmp_path / "out"), *options]
    assert run(arguments, monkeypatch) == 2
    assert named in capsys.readouterr().err
