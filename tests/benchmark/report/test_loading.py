import json
from pathlib import Path

import pytest

from liveedit.benchmark.report.loading import load_run, load_runs
from liveedit.errors import BadRun
from tests.benchmark.report.runs import record, write_run, wrong

RECORDS = {10: [record(0, "rel"), wrong(1, "rel")], 1: [record(0, "rel"), record(1, "ri")]}


def test_a_whole_run(tmp_path):
    run = load_run(write_run(tmp_path / "a", RECORDS))
    assert run.name == "a"
    assert list(run.summary.runs) == list(run.probes) == [1, 10]
    assert run.most == 10
    assert run.summary.runs[10].metrics["rel"].accuracy == 50
    assert run.summary.runs[1].corrections_per_second == 7.25
    first, second = run.probes[10]
    assert (first.case, first.right, second.right) == (0, True, False)
    assert first.top is not None
    assert first.top.weight == 0.9
    assert run.general is None


def test_records_of_before_routing_was_told(tmp_path):
    """Margins and the heaviest expert may be absent, and what is new is passed over."""
    old = {k: v for k, v in record(0, "rel").items() if k not in ("margin", "asked", "top")}
    run = load_run(write_run(tmp_path / "a", {1: [{**old, "colour": "red"}]}))
    (probe,) = run.probes[1]
    assert (probe.margin, probe.asked, probe.top) == (None, None, None)


def test_general_ability(tmp_path):
    folder = write_run(tmp_path / "a", RECORDS)
    skill = {"right": 90, "n": 100, "percent": 90.0}
    general = {"before": {"easy-VQA test": skill}, "after": {"easy-VQA test": skill}, "edits": 5}
    (folder / "general.json").write_text(json.dumps(general))
    run = load_run(folder)
    assert run.general is not None
    assert run.general.after["easy-VQA test"].percent == 90


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(BadRun, match=r"is no benchmark run.*bench run --out"):
        load_run(tmp_path)
    with pytest.raises(BadRun, match="is no benchmark run"):
        load_run(tmp_path / "nothing")


def test_a_trial_of_a_tuning(tmp_path):
    path = write_run(tmp_path / "a", RECORDS) / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"teacher_forced": False}))
    with pytest.raises(BadRun, match=r"is a trial of .*--settings"):
        load_run(path.parent)


@pytest.mark.parametrize("content", [b'{"dataset": ', b"\xff\xfe{", b""])
def test_a_damaged_summary(tmp_path, content):
    folder = write_run(tmp_path / "a", RECORDS)
    (folder / "summary.json").write_bytes(content)
    with pytest.raises(BadRun, match=r"summary\.json is damaged"):
        load_run(folder)


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"runs": {}}, "runs"), ({"runs": {"x": {}}}, "runs"), ({"dataset": 3}, "dataset")],
)
def test_a_summary_that_is_another_thing(tmp_path, changes, named):
    folder = write_run(tmp_path / "a", RECORDS, **changes)
    with pytest.raises(BadRun, match=rf"summary\.json.*{named}"):
        load_run(folder)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"case": 1, "metric": "rel", "acc', "line 2 of .*records-10.jsonl is damaged"),
        (json.dumps(record(1, "rel", accuracy=1.5)), "line 2 .*accuracy"),
        (json.dumps(record(1, "rel", accuracy="good")), "line 2 .*accuracy"),
        (json.dumps(record(1, "rel", accuracy=float("nan"))), "line 2 .*accuracy"),
        (json.dumps({"case": 1, "metric": "rel"}), "line 2 .*prompt"),
        (json.dumps(record(1, "rel", top={"case": 3})), "line 2 .*top"),
        ("[]", "line 2 "),
    ],
)
def test_a_damaged_line_is_named(tmp_path, line, told):
    folder = write_run(tmp_path / "a", RECORDS)
    path = folder / "records-10.jsonl"
    path.write_text(path.read_text().splitlines()[0] + "\n" + line + "\n")
    with pytest.raises(BadRun, match=told):
        load_run(folder)


def test_no_records(tmp_path):
    folder = write_run(tmp_path / "a", RECORDS)
    (folder / "records-10.jsonl").write_text("\n")
    with pytest.raises(BadRun, match=r"records-10\.jsonl holds no records"):
        load_run(folder)
    (folder / "records-10.jsonl").unlink()
    with pytest.raises(BadRun, match=r"records-10\.jsonl is missing.*--summary-only"):
        load_run(folder)
    assert load_run(folder, records=False).probes == {}


def test_records_that_are_not_the_summarys(tmp_path):
    folder = write_run(tmp_path / "a", RECORDS)
    path = folder / "records-10.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(lines[0])
    with pytest.raises(BadRun, match=r"1 probes of rel where summary\.json has 2"):
        load_run(folder)
    path.write_text(lines[0] * 2)
    with pytest.raises(BadRun, match="other accuracies of rel"):
        load_run(folder)
    path.write_text("".join(lines) + json.dumps(record(0, "ci")))
    with pytest.raises(BadRun, match=r"1 probes of ci where summary\.json has 0"):
        load_run(folder)


def test_names_tell_runs_apart(tmp_path):
    folders = [write_run(tmp_path / part / "out", RECORDS) for part in ("one", "two")]
    assert [run.name for run in load_runs(folders)] == ["one/out", "two/out"]
    with pytest.raises(BadRun, match="given twice"):
        load_runs([folders[0], Path(f"{folders[0]}/../out")])
