"""What is proposed: the defaults, then each point of the grid once, good ones sooner."""

from __future__ import annotations

import itertools
from typing import ClassVar

import pytest

from liveedit.benchmark.tuning.space import defaults_of, proposed, size_of
from liveedit.config import Config
from liveedit.errors import BadSettings


class Peaked(Config):
    search_space: ClassVar = {"rate": tuple(range(10)), "form": ("a", "b", "c"), "width": (1, 2, 4)}

    rate: int = 0
    form: str = "a"
    width: int = 3  # not in the space


class Bare(Config):
    rate: float = 1.0


def score(settings) -> float:
    return 50 - 5 * abs(settings["rate"] - 7) + 10 * (settings["form"] == "b")


def searched(trials: int, seed: int = 0) -> list[tuple[dict, float]]:
    tried: list[tuple[dict, float]] = []
    while len(tried) < trials and (new := proposed(Peaked, tried, seed=seed)) is not None:
        tried.append((new, score(new)))
    return tried


def test_the_defaults_come_first_and_the_rest_once_each() -> None:
    assert size_of(Peaked) == 91
    tried = [settings for settings, _ in searched(200)]
    assert tried[0] == defaults_of(Peaked) == {"rate": 0, "form": "a", "width": 3}
    assert len(tried) == 91
    for rate, form, width in itertools.product(range(10), "abc", (1, 2, 4)):
        assert tried.count({"rate": rate, "form": form, "width": width}) == 1


def test_what_is_proposed_depends_on_the_log_alone() -> None:
    tried = searched(12)
    for count in (1, 5, 8, 11):
        assert proposed(Peaked, tried[:count], seed=0) == tried[count][0]
    assert [one for one, _ in searched(12, seed=1)] != [one for one, _ in tried]


def test_it_learns_from_scores() -> None:
    late = [value for seed in range(5) for _, value in searched(24, seed)[8:]]
    grid = [
        score({"rate": rate, "form": form}) for rate, form in itertools.product(range(10), "abc")
    ]
    assert sum(late) / len(late) > sum(grid) / len(grid) + 5


def test_a_method_without_a_space_cannot_be_tuned() -> None:
    with pytest.raises(BadSettings, match="Bare names no settings to search"):
        proposed(Bare, [], seed=0)
