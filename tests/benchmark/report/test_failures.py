from liveedit.benchmark.report.failures import failures
from liveedit.benchmark.report.loading import load_run
from tests.benchmark.report.runs import record, write_run, wrong


def fired(weight: float) -> dict[str, object]:
    return {"passed": 1, "top": {"case": 50, "text_only": False, "weight": weight}}


def test_the_worst_come_first(tmp_path):
    run = load_run(
        write_run(
            tmp_path / "a",
            {
                1: [
                    record(0, "ri"),
                    wrong(1, "ri"),
                    record(2, "ri"),
                    record(3, "ri"),
                    wrong(4, "ri", accuracy=1.0),
                    wrong(0, "rel"),
                ],
                10: [
                    record(0, "ri"),
                    wrong(1, "ri", accuracy=0.5),
                    wrong(2, "ri", **fired(0.2)),
                    wrong(3, "ri", **fired(0.8)),
                    record(4, "ri"),
                    record(0, "rel"),
                ],
            },
        )
    )
    rel, ri = failures(run, shown=3)
    assert (rel.metric, rel.by_n, rel.total, rel.different) == ("rel", {1: 1, 10: 0}, 1, 1)
    assert ri.by_n == {1: 2, 10: 3}
    assert (ri.total, ri.different, ri.forced_right) == (5, 4, 1)
    # twice wrong; no token and a heavy wrong edit; the same with a light one
    assert [(one.probe.case, one.edits) for one in ri.worst] == [
        (1, (1, 10)),
        (3, (10,)),
        (2, (10,)),
    ]
    assert ri.worst[0].probe.accuracy == 0.5, "as it was with the most edits"
    assert [len(some.worst) for some in failures(run, shown=0)] == [0, 0]


def test_nothing_failed(tmp_path):
    run = load_run(write_run(tmp_path / "a", {1: [record(0, "rel", accuracy=0.5)]}))
    assert failures(run, shown=3) == [], "the generated answer is right"


def test_without_generation_every_token_counts(tmp_path):
    records = [
        record(c, "rel", exact=None, answer=None, accuracy=a) for c, a in enumerate((1, 0.5))
    ]
    (rel,) = failures(load_run(write_run(tmp_path / "a", {1: records})), shown=3)
    assert [one.probe.case for one in rel.worst] == [1]
    assert rel.forced_right == 0
