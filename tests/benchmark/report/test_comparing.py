import numpy as np
import pytest

from liveedit.benchmark.report.comparing import Comparison, compare
from liveedit.benchmark.report.loading import load_runs
from liveedit.errors import RunsDiffer
from tests.benchmark.report.runs import record, write_run, wrong


@pytest.fixture
def compared(tmp_path):
    """Writes two runs and compares them."""

    def both(a, b, *, measure="accuracy", a_is=None, b_is=None) -> Comparison:
        folders = [
            write_run(tmp_path / "first", a, **(a_is or {})),
            write_run(tmp_path / "second", b, **(b_is or {})),
        ]
        return compare(*load_runs(folders), measure=measure)

    return both


def many(metric: str, failing: range) -> list:
    return [(wrong if case in failing else record)(case, metric) for case in range(40)]


def test_a_clear_difference(compared):
    found = compared({10: many("rel", range(20))}, {10: many("rel", range(15, 17))})
    (row,) = found.rows
    assert (row.n, row.metric, row.pairs) == (10, "rel", 40)
    assert (row.mean_a, row.mean_b, row.difference) == pytest.approx((50, 95, 45))
    assert (row.only_a, row.only_b) == (0, 18)
    assert row.low < 45 < row.high
    half = 1.96 * 100 * np.std([1] * 18 + [0] * 22) / np.sqrt(40)
    assert (row.low, row.high) == pytest.approx((45 - half, 45 + half), abs=2.6)
    assert row.significant
    assert row.p == row.p_holm < 0.001
    assert len(found.words) == 1
    assert found.words[0].startswith(
        "N = 10, Rel: second is better than first by 45.00 points (95%: "
    )


def test_the_better_one_is_named_whichever_it_is(compared):
    (word,) = compared({1: many("ri", range(0))}, {1: many("ri", range(30))}).words
    assert "RI: first is better than second by 75.00 points" in word


def test_equal_runs(compared):
    same = {1: many("rel", range(3)), 10: many("ri", range(5))}
    found = compared(same, same)
    assert [(row.n, row.difference, row.p, row.only_a) for row in found.rows] == [
        (1, 0, 1, 0),
        (10, 0, 1, 0),
    ]
    assert found.words == [
        "first and second differ significantly in none of 2 comparisons (p < 0.05 after Holm's "
        "correction); that is no proof that they are equal."
    ]
    assert found.unpaired == ()


def test_p_values_are_corrected_for_the_whole_table(compared):
    """Six pairs, all the same way: p = 2/64 alone, twice that beside another comparison."""
    a = {1: [*many("rel", range(6)), *many("ri", range(0))]}
    b = {1: [*many("rel", range(0)), *many("ri", range(0))]}
    rel, ri = compared(a, b).rows
    assert rel.p == pytest.approx(2 / 64)
    assert rel.p_holm == pytest.approx(4 / 64)
    assert not rel.significant
    assert ri.p_holm == 1


def test_what_has_no_pair_is_named(compared):
    a = {1: [record(0, "rel"), record(1, "rel"), record(2, "rel")], 10: [record(0, "ri")]}
    b = {1: [record(2, "rel"), record(4, "rel"), record(3, "rel"), record(2, "ci")]}
    found = compared(a, b)
    assert [(row.n, row.metric, row.pairs) for row in found.rows] == [(1, "rel", 1)]
    assert [(u.run, u.n, u.metric, u.cases) for u in found.unpaired] == [
        ("a", 1, "rel", (0, 1)),
        ("b", 1, "rel", (3, 4)),
        ("b", 1, "ci", (2,)),
        ("a", 10, "ri", (0,)),
    ]


def test_a_correction_asked_about_twice_is_one_value(compared):
    """Text-only corrections stand beside several groups."""
    a = {1: [record(0, "text_rel"), wrong(0, "text_rel"), record(1, "text_rel")]}
    b = {1: [record(0, "text_rel"), record(0, "text_rel"), record(1, "text_rel")]}
    (row,) = compared(a, b).rows
    assert (row.pairs, row.mean_a, row.mean_b) == (2, 75, 100)
    assert (row.only_a, row.only_b) == (0, 1)


def test_exact_match(compared):
    """Teacher forcing is right in both; the generated answers are not."""
    a = {1: [record(case, "rel") for case in range(8)]}
    b = {1: [record(case, "rel", exact=False, answer="x") for case in range(8)]}
    (row,) = compared(a, b, measure="exact_match").rows
    assert (row.mean_a, row.mean_b, row.only_a) == (100, 0, 8)


def test_exact_match_without_answers(compared):
    a = {1: [record(0, "rel")]}
    b = {1: [record(0, "rel", exact=None, answer=None)]}
    with pytest.raises(RunsDiffer, match="second has no generated answers"):
        compared(a, b, measure="exact_match")


@pytest.mark.parametrize(
    ("other", "told"),
    [({"dataset": "vlkeb"}, "dataset 'emoji-edit'.*'vlkeb'"), ({"split": "evaluation"}, "split")],
)
def test_other_data(compared, other, told):
    same = {1: [record(0, "rel")]}
    with pytest.raises(RunsDiffer, match=f"{told}.*compare runs of the same"):
        compared(same, same, b_is=other)


def test_other_questions_under_the_same_numbers(compared):
    a = {1: [record(0, "rel")]}
    with pytest.raises(RunsDiffer, match="asked different things of correction 0"):
        compared(a, {1: [record(0, "rel", expected="another target")]})


def test_locality_may_expect_other_answers(compared):
    """They are those of each run's own unedited model."""
    a, b = {1: [record(0, "ri")]}, {1: [record(0, "ri", expected="x", answer="x")]}
    found = compared(a, b, b_is={"backbone": "another"})
    assert found.rows[0].difference == 0
    assert "backbones differ" in found.cautions[0]


def test_nothing_in_common(compared):
    with pytest.raises(RunsDiffer, match="no probe in common"):
        compared({1: [record(0, "rel")]}, {10: [record(0, "rel")]})
