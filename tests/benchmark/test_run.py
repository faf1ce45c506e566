"""A whole run on a tiny model."""

import json

import pytest

from liveedit.benchmark.emoji_edit import evaluation_set
from liveedit.benchmark.metrics import METRICS, VIEW_OF, summarise
from liveedit.benchmark.run import run_benchmark


def test_a_run_writes_summary_and_records(make_model, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("liveedit.benchmark.retention.FIRST", 2)
    model = make_model()
    out = tmp_path / "made" / "out"
    summary = run_benchmark(
        model, out, edits=(1, 3), limit=4, split="validation", later=(0, 1, 900),
        cache=tmp_path / "cache", max_new_tokens=3,
    )  # fmt: skip
    assert json.loads((out / "summary.json").read_text()) == summary
    assert summary["corrections"] == 4
    assert summary["split"] == "validation"
    assert summary["backbone"] == "tiny"
    assert summary["editor"] == model.network.config.model_dump()
    assert summary["editing"] == model.config.model_dump()
    assert list(summary["runs"]) == ["1", "3"]
    assert {path.name for path in out.iterdir()} == {
        "summary.json", "records-1.jsonl", "records-3.jsonl"
    }  # fmt: skip
    for size, groups, members in (("1", 4, [1, 1, 1, 1]), ("3", 2, [3, 1])):
        lines = (out / f"records-{size}.jsonl").read_text(encoding="utf-8").splitlines()
        records = [json.loads(line) for line in lines]
        assert summary["runs"][size]["metrics"] == summarise(records)
        assert list(summary["runs"][size]["metrics"]) == list(METRICS)
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
def test_the_evaluation_is_the_default(make_model, tmp_path, monkeypatch, generate) -> None:
    """With its first text-only corrections alone: it takes some time."""
    from liveedit.benchmark import run
    from liveedit.benchmark.knowledge import text_evaluation_set

    monkeypatch.setattr(run, "text_evaluation_set", lambda: text_evaluation_set()[:4])
    summary = run_benchmark(
        make_model(), tmp_path, edits=(2,), limit=2, generate=generate, cache=tmp_path,
        max_new_tokens=3,
    )  # fmt: skip
    assert summary["split"] == "evaluation"
    assert "retention" not in summary
    records = [json.loads(line) for line in (tmp_path / "records-2.jsonl").open()]
    asked = [record["prompt"] for record in records if record["metric"] == "rel"]
    assert asked == [case.question.text for case in evaluation_set(2)]
    assert all((record["answer"] is not None) == generate for record in records)
    metrics = summary["runs"]["2"]["metrics"]
    assert (metrics["rel"]["exact_match"] is not None) == generate
