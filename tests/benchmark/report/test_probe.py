import pytest
from pydantic import TypeAdapter

from liveedit.benchmark.report.probe import Probe
from tests.benchmark.report.runs import record


def probe(metric: str, **changes: object) -> Probe:
    return TypeAdapter(Probe).validate_python(record(3, metric, **changes))


def other(case: int, *, text_only: bool = False) -> dict[str, object]:
    return {"case": case, "text_only": text_only, "weight": 0.5}


@pytest.mark.parametrize(
    ("exact", "accuracy", "right"),
    [(True, 0.5, True), (False, 1.0, False), (None, 1.0, True), (None, 0.5, False)],
)
def test_the_generated_answer_decides_where_there_is_one(exact, accuracy, right):
    assert probe("rel", exact=exact, accuracy=accuracy).right is right


@pytest.mark.parametrize(
    ("metric", "changes", "wrongly"),
    [
        ("rel", {}, False),
        ("rel", {"top": other(4)}, True),
        ("rel", {"top": other(3, text_only=True)}, True),
        ("rel", {"top": None, "passed": 0, "own": 0.0}, False),
        ("rel", {"top": None, "passed": 2, "own": 0.0}, True),
        ("portability", {"top": other(3), "passed": 1}, False),
        ("text_gen", {"top": other(3, text_only=True)}, False),
        ("text_gen", {"top": other(3)}, True),
        ("ri", {}, False),
        ("ri", {"top": other(3), "passed": 1}, True),
        ("ri", {"passed": 1}, True),
        ("text_strict", {"top": other(3, text_only=True), "passed": 1}, True),
    ],
)
def test_wrong_fires(metric, changes, wrongly):
    assert probe(metric, **changes).fired_wrongly is wrongly


def test_its_own_edit_may_fire_wrongly():
    assert probe("ci", top=other(3), passed=1).own_fired
    assert not probe("ci", top=other(4), passed=1).own_fired


@pytest.mark.parametrize(
    ("metric", "own", "missed"),
    [("rel", 0.0, True), ("rel", 0.1, False), ("rel", None, False), ("ri", 0.0, False)],
)
def test_an_edit_that_stays_silent(metric, own, missed):
    assert probe(metric, own=own).missed is missed
