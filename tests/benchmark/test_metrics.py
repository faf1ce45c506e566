import numpy as np
import pytest

from liveedit.benchmark.metrics import bootstrap, same_answer, summarise


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Paris", "paris.", True),
        ("  a red  dog\n", "a red dog", True),
        ("Paris", "Paris, France", False),
        ("", ".", True),
        ("two..", "two", False),
    ],
)
def test_same_answer(one, other, same) -> None:
    assert same_answer(one, other) == same_answer(other, one) == same


def record(
    metric: str, accuracy: float | None, exact: bool | None, before: float | None, case: int = 0
) -> dict:
    return {
        "case": case, "metric": metric, "accuracy": accuracy, "exact": exact, "before": before
    }  # fmt: skip


def test_a_summary_has_the_means_of_every_metric() -> None:
    records = [
        record("text_rel", 1.0, True, 0.25),
        record("rel", 0.5, False, 0.5),
        record("rel", 1.0, True, 0.0, case=1),
        record("ni", 1.0, True, None),
    ]
    found = summarise(records)
    assert list(found) == ["rel", "ni", "text_rel"], "in the order of the metrics"
    low, high = found["rel"].pop("interval")
    assert 50 <= low < high <= 100
    low, high = found["rel"].pop("exact_interval")
    assert 0 <= low < high <= 100
    assert found["rel"] == {"accuracy": 75, "exact_match": 50, "before": 25, "n": 2}
    assert found["ni"]["before"] is None
    assert found["text_rel"]["interval"] == [100, 100]


def test_what_was_not_asked_has_no_figure() -> None:
    forced = summarise([record("rel", 1.0, None, 0.0)])["rel"]
    assert forced["exact_match"] is forced["exact_interval"] is None
    generated = summarise([record("rel", None, True, None)])["rel"]
    assert generated["accuracy"] is generated["interval"] is generated["before"] is None
    assert generated["exact_match"] == 100


def test_the_interval_is_that_of_resampled_means() -> None:
    values = np.random.default_rng(1).random(400) < 0.3
    low, high = bootstrap(values.astype(float))
    error = 1.96 * np.sqrt(values.mean() * (1 - values.mean()) / 400)
    assert low == pytest.approx(values.mean() - error, abs=0.01)
    assert high == pytest.approx(values.mean() + error, abs=0.01)
    assert bootstrap(values.astype(float)) == (low, high)


def test_asking_the_same_again_does_not_narrow_the_interval() -> None:
    values = (np.random.default_rng(1).random(40) < 0.5).astype(float)
    ten_times, cases = np.tile(values, 10), np.tile(np.arange(40), 10)
    assert bootstrap(ten_times, cases) == pytest.approx(bootstrap(values))
    low, high = bootstrap(ten_times)
    assert high - low < 0.5 * np.diff(bootstrap(values)).item()
