import itertools
import math

import numpy as np
import pytest

from liveedit.benchmark.report.resampling import holm, paired_interval, sign_flip


def every_sign(differences: list[float]) -> float:
    """The definition, by hand: all signs of all pairs, zeros among them."""
    seen = abs(sum(differences))
    sums = [
        abs(sum(sign * one for sign, one in zip(signs, differences, strict=True)))
        for signs in itertools.product((-1, 1), repeat=len(differences))
    ]
    return sum(total >= seen - 1e-12 for total in sums) / len(sums)


@pytest.mark.parametrize(
    "differences",
    [
        [0.0, 0.0, 0.0],
        [1.0, 0.0, 0.0],
        [1.0, 1.0, 1.0, 0.0, 1.0],
        [0.5, -1 / 3, 1.0, 0.25, 0.0, 2 / 3, -0.5, 1.0],
        [-1.0, -1.0, 1.0, -0.2, -0.1],
    ],
)
def test_few_differences_are_tried_in_full(differences):
    assert sign_flip(np.array(differences)) == pytest.approx(every_sign(differences))


@pytest.mark.parametrize(("up", "down"), [(20, 10), (18, 14), (25, 9)])
def test_many_differences_by_chance(up, down):
    count = up + down
    exact = (
        sum(math.comb(count, k) for k in range(count + 1) if abs(2 * k - count) >= up - down)
        / 2**count
    )
    found = sign_flip(np.array([1.0] * up + [-1.0] * down + [0.0] * 500))
    assert found == pytest.approx(exact, abs=4 * math.sqrt(exact / 20_000))


def test_chance_never_says_impossible():
    assert sign_flip(np.ones(200)) == pytest.approx(1 / 20_001)


def test_the_interval_is_that_of_resampled_pairs():
    random = np.random.default_rng(5)
    differences = random.choice([-1.0, -0.5, 0.0, 0.25, 1.0], 300, p=[0.1, 0.1, 0.4, 0.2, 0.2])
    means = differences[random.integers(300, size=(20_000, 300))].mean(1)
    wanted = np.percentile(means, [2.5, 97.5])
    assert paired_interval(differences) == pytest.approx(tuple(wanted), abs=0.008)
    assert paired_interval(np.full(7, 0.25)) == pytest.approx((0.25, 0.25))


def test_holm():
    """Worked by hand: 4 times the least, 3 times the next, never less than one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]
