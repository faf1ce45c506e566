import math

import pytest

from liveedit.benchmark.report import routing
from liveedit.benchmark.report.loading import load_run
from tests.benchmark.report.runs import record, write_run, wrong


def other(case: int) -> dict[str, object]:
    return {"case": case, "text_only": False, "weight": 0.6}


@pytest.fixture
def probes(tmp_path):
    records = [
        *(record(at, "rel", passed=passed) for at, passed in enumerate((0, 1, 1, 2, 3, 9, 10, 99))),
        wrong(8, "rel", passed=1, own=0.0, top=other(3)),
        record(9, "rel", passed=1, own=0.4, top=other(3)),
        record(0, "ri"),
        record(1, "ri", passed=1, top=other(1), margin=0.5),
        wrong(2, "ri", passed=2, top=other(7), margin=1.5),
        record(0, "text_rel", passed=None),
    ]
    return load_run(write_run(tmp_path / "a", {10: records})).probes[10]


def test_experts_that_pass(probes):
    assert routing.PASSED == ("0", "1", "2", "3–9", "10+")
    assert routing.passed(probes) == {
        "rel": pytest.approx([10, 40, 10, 20, 20]),
        "ri": pytest.approx([100 / 3, 100 / 3, 100 / 3, 0, 0]),
    }


def test_wrong_fires(probes):
    found = routing.fires(probes)
    assert found["rel"] == routing.Fires(probes=10, wrong=2, missed=1, harmless=1)
    assert found["ri"] == routing.Fires(probes=3, wrong=2, missed=None, harmless=1)
    assert found["text_rel"] == routing.Fires(probes=1, wrong=0, missed=0, harmless=0)


def test_margins(probes):
    found = routing.margins(probes)
    assert found["ri"].tolist() == [-2.0, 0.5, 1.5]
    assert "text_rel" not in found
    assert routing.asked(probes)["text_rel"].tolist() == [1.5]


def test_an_endless_margin_is_left_out(tmp_path):
    """A filter that is switched off has no threshold."""
    records = [record(0, "rel", margin=math.inf), record(1, "rel", margin=1.0)]
    run = load_run(write_run(tmp_path / "a", {1: records}))
    assert routing.margins(run.probes[1])["rel"].tolist() == [1.0]
