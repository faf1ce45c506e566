"""A whole run on a tiny model: what it writes, going on after a kill, several processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from liveedit.backbones.registry import load_backbone
from liveedit.benchmark import checkpointed_run
from liveedit.benchmark.metrics import VIEW_OF, summarise
from liveedit.benchmark.run import run_benchmark
from liveedit.benchmark.suite import Suite, emoji_suite
from liveedit.data.emoji_edit.corrections import evaluation_set
from liveedit.errors import OtherRun
from liveedit.methods.liveedit.checkpoint import save_editor
from liveedit.methods.liveedit.config import LiveEditConfig

ROOT = Path(__file__).parents[2]
SIZES = (1, 3)
SCORES = ("margin", "asked")


def records_of(folder: Path, size: int) -> list[dict[str, Any]]:
    lines = (folder / f"records-{size}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _but_scores(record: dict[str, Any]) -> dict[str, Any]:
    return {name: name in SCORES or value for name, value in record.items()}


def _scores(records: list[dict[str, Any]]) -> list[float]:
    known = [one[name] for one in records for name in SCORES]
    return [-1e9 if value is None else value for value in known]


def suite_of(limit: int, texts: int = 4) -> Suite:
    """With some text-only corrections alone: all take some time."""
    whole = emoji_suite("validation", limit)
    return Suite(name=whole.name, pictured=whole.pictured, texts=whole.texts[:texts])


def test_a_run_writes_summary_and_records(make_model, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("liveedit.benchmark.retention.FIRST", 2)
    model = make_model()
    out = tmp_path / "made" / "out"
    summary = run_benchmark(
        model, out, suite_of(4), edits=SIZES, later=(0, 1, 900), about={"split": "validation"},
        cache=tmp_path / "cache", max_new_tokens=3,
    )  # fmt: skip
    assert json.loads((out / "summary.json").read_text()) == summary
    assert summary["corrections"] == 4
    assert summary["split"] == "validation"
    assert summary["backbone"] == "tiny"
    assert summary["dtype"] == "float32"
    assert summary["editor"] == model.method.network.config.model_dump()
    assert summary["editing"] == model.method.config.model_dump()
    assert list(summary["runs"]) == ["1", "3"]
    assert {path.name for path in out.iterdir()} == {
        "run.json", "summary.json", "records-1.jsonl", "records-3.jsonl"
    }  # fmt: skip
    for size, groups, members in ((1, 4, [1, 1, 1, 1]), (3, 2, [3, 1])):
        records = records_of(out, size)
        run = summary["runs"][str(size)]
        assert run["metrics"] == summarise(records)
        assert run["metrics"].keys() == {*VIEW_OF, "text_rel", "text_gen", "text_strict"}
        assert run["corrections_per_second"] == pytest.approx(4 / run["seconds"], rel=0.2)
        # one text-only correction beside each group
        assert len(records) == 4 * 8 + groups * 3
        rel = [record["group"] for record in records if record["metric"] == "rel"]
        assert [rel.count(group) for group in range(groups)] == members
    assert list(summary["retention"]) == ["0", "1"]
    for metrics in summary["retention"].values():
        assert metrics.keys() == VIEW_OF.keys()
        assert {figures["n"] for figures in metrics.values()} == {2}
    assert not model.edits, "the model itself is not edited"


@pytest.mark.parametrize("generate", [True, False])
def test_the_evaluation_is_the_default(make_model, tmp_path, generate) -> None:
    whole = emoji_suite(limit=2)
    suite = Suite(name=whole.name, pictured=whole.pictured, texts=whole.texts[:1])
    summary = run_benchmark(
        make_model(), tmp_path, suite, edits=(2,), generate=generate, cache=tmp_path,
        max_new_tokens=3,
    )  # fmt: skip
    assert "retention" not in summary
    records = records_of(tmp_path, 2)
    asked = [record["prompt"] for record in records if record["metric"] == "rel"]
    assert asked == [case.question.text for case in evaluation_set(2)]
    assert all((record["answer"] is not None) == generate for record in records)
    metrics = summary["runs"]["2"]["metrics"]
    assert (metrics["rel"]["exact_match"] is not None) == generate


def test_the_first_alone_are_asked_about(make_model, tmp_path) -> None:
    options = {"cache": tmp_path / "cache", "max_new_tokens": 3}
    whole = run_benchmark(make_model(), tmp_path / "all", suite_of(5), edits=(4,), **options)
    some = run_benchmark(
        make_model(), tmp_path / "some", suite_of(5), edits=(4, 2), asked=3, **options
    )
    assert some["asked"] == 3
    assert "asked" not in whole
    # the same records, of the first alone; the second group of four has none of them
    first = [one for one in records_of(tmp_path / "all", 4) if one["group"] == 0]
    wanted = [one for one in first if one["metric"].startswith("text") or one["case"] < 3]
    found = records_of(tmp_path / "some", 4)
    assert [_but_scores(one) for one in found] == [_but_scores(one) for one in wanted]
    # a batch of fewer rows may round its sums otherwise: by one in the last decimal that is kept
    assert _scores(found) == pytest.approx(_scores(wanted), rel=0, abs=1.5e-4)
    rel = [one for one in records_of(tmp_path / "some", 2) if one["metric"] == "rel"]
    assert [(one["group"], one["case"]) for one in rel] == [(0, 0), (0, 1), (1, 2)]


def test_what_is_there_is_not_run_again(make_model, tmp_path, monkeypatch) -> None:
    model, suite = make_model(), suite_of(3)
    options = {"cache": tmp_path / "cache", "max_new_tokens": 3}
    first = run_benchmark(model, tmp_path / "out", suite, edits=(3,), **options)
    more = run_benchmark(model, tmp_path / "out", suite, edits=(3, 1), **options)
    assert more["runs"]["3"] == first["runs"]["3"]
    assert list(more["runs"]) == ["1", "3"]
    monkeypatch.setattr(model, "edit_many", None)
    assert run_benchmark(model, tmp_path / "out", suite, edits=(1, 3), **options) == more


def test_other_settings_need_another_folder(make_model, tmp_path) -> None:
    options = {"edits": (2,), "cache": tmp_path / "cache", "max_new_tokens": 3}
    run_benchmark(make_model(), tmp_path / "out", suite_of(2), **options)
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    other = make_model(config=LiveEditConfig(refine_steps=0, supersede="never"))
    with pytest.raises(OtherRun, match="editing"):
        run_benchmark(other, tmp_path / "out", suite_of(2), **options)
    with pytest.raises(OtherRun, match="corrections, digest"):
        run_benchmark(make_model(), tmp_path / "out", suite_of(3), **options)
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_parts_are_of_whole_groups_and_about_equal(monkeypatch) -> None:
    monkeypatch.setattr(checkpointed_run, "_CORRECTIONS", 3)
    suite = suite_of(8)
    for edits, expected in ((1, [3, 3, 2]), (2, [2, 2]), (5, [1, 1])):
        found = checkpointed_run.parts_of(suite.groups(edits), str(edits))
        assert [len(part.groups) for part in found] == expected
        assert [group for part in found for group in part.groups] == suite.groups(edits)
        assert [part.first for part in found] == [sum(expected[:n]) for n in range(len(found))]
        assert len({part.name for part in found}) == len(found)


RUN = """
import sys
from pathlib import Path
import torch
from liveedit.backbones.registry import load_backbone
from liveedit.benchmark import checkpointed_run, run
from liveedit.benchmark.suite import Suite, emoji_suite
from liveedit.methods.liveedit.checkpoint import load_editor
from liveedit.methods.liveedit.config import LiveEditConfig
from liveedit.editor import EditedModel
from liveedit.methods.liveedit.method import LiveEdit

torch.set_num_threads(1)
checkpointed_run._CORRECTIONS = 1
model, editor, out, cache = sys.argv[1:]
whole = emoji_suite("validation", 5)
backbone = load_backbone(model, dtype=torch.float32)
network = load_editor(editor, backbone.fingerprint())
run.run_benchmark(
    EditedModel(LiveEdit(backbone, network, LiveEditConfig(refine_steps=0))),
    Path(out),
    Suite(name=whole.name, pictured=whole.pictured, texts=whole.texts[:3]),
    edits=(1, 2),
    cache=Path(cache),
    max_new_tokens=3,
)
"""
LAUNCH = (
    "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", "--num_machines", "1",
    "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0",
)  # fmt: skip


@pytest.fixture(scope="module")
def command(make_model, tiny_folder, tmp_path_factory) -> list[str]:
    """Runs five corrections in parts of one, into the folders that are added to it."""
    folder = tmp_path_factory.mktemp("command")
    fingerprint = load_backbone(tiny_folder).fingerprint()
    save_editor(make_model().method.network, fingerprint, folder / "editor")
    (folder / "run.py").write_text(RUN)
    return [str(folder / "run.py"), str(tiny_folder), str(folder / "editor")]


@pytest.fixture(scope="module")
def unbroken(command, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("unbroken")
    finish(command, out, out / "cache")
    return out


def finish(command: list[str], out: Path, cache: Path, *launch: str) -> None:
    whole = [sys.executable, *launch, *command, str(out), str(cache)]
    done = subprocess.run(whole, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def same(one: Path, other: Path) -> None:
    for size in (1, 2):
        for a, b in zip(records_of(one, size), records_of(other, size), strict=True):
            for name in ("own", "margin", "asked"):  # sums are rounded as memory happens to lie
                assert a.pop(name) == pytest.approx(b.pop(name), abs=1e-3)
            weights = [(record["top"] or {}).pop("weight", 0) for record in (a, b)]
            assert weights[0] == pytest.approx(weights[1], abs=1e-3)
            assert a == b
    summaries = [json.loads((path / "summary.json").read_text()) for path in (one, other)]
    for size in ("1", "2"):
        assert len({json.dumps(run["runs"][size]["metrics"]) for run in summaries}) == 1


def test_a_killed_run_goes_on_where_it_was(command, unbroken, tmp_path) -> None:
    out, cache = tmp_path / "out", tmp_path / "cache"
    running = subprocess.Popen([sys.executable, *command, str(out), str(cache)], cwd=ROOT)
    while len(list((out / "parts").glob("1-*.json"))) < 2:
        assert running.poll() is None, "the run ended before it could be killed"
        time.sleep(0.01)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert not (out / "summary.json").exists()
    done = json.loads((out / "parts" / "1-0000.json").read_text())
    # so that it shows whether the part is taken or made again
    done["records"][0]["answer"] = "kept from before the kill"
    (out / "parts" / "1-0000.json").write_text(json.dumps(done))
    finish(command, out, cache)
    first, *others = records_of(out, 1)
    assert first["answer"] == "kept from before the kill"
    first["answer"] = records_of(unbroken, 1)[0]["answer"]
    lines = (json.dumps(record) + "\n" for record in (first, *others))
    (out / "records-1.jsonl").write_text("".join(lines))
    same(out, unbroken)


def test_two_processes_get_what_one_gets(command, unbroken, tmp_path) -> None:
    finish(command, tmp_path / "out", tmp_path / "cache", *LAUNCH)
    same(tmp_path / "out", unbroken)
    assert not (tmp_path / "out" / "parts").exists()
