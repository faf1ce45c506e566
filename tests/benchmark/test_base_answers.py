"""Answers of the unedited model: those of questions asked alone, and asked but once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from liveedit.benchmark.base_answers import base_answers
from liveedit.data.views import VIEWS, views_of

TOKENS = 5
NAMES = ("fact", "elsewhere", "no image")


@pytest.fixture
def asked(backbone, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the batches that are generated."""
    sizes: list[int] = []
    generate = backbone.generate

    def counting(query: Any, **options: Any) -> Any:
        sizes.append(len(query.input_ids))
        return generate(query, **options)

    monkeypatch.setattr(backbone, "generate", counting)
    return sizes


@pytest.fixture
def answers(backbone, tmp_path: Path) -> Callable[..., list[list[str]]]:
    def make(cases: list, names: tuple[str, ...] = NAMES, tokens: int = TOKENS) -> list[list[str]]:
        return base_answers(backbone, cases, names, tmp_path, max_new_tokens=tokens)

    return make


def test_answers_are_those_of_questions_asked_alone(backbone, pictured, answers) -> None:
    for case, found in zip(pictured, answers(pictured), strict=True):
        alone = []
        for image, question in views_of(case, NAMES):
            query = backbone.query([image], [question])
            alone += backbone.generate(query, max_new_tokens=TOKENS)
        assert found == [answer.strip() for answer in alone]


def test_answers_on_disk_are_not_made_again(pictured, answers, asked) -> None:
    first = answers(pictured)
    assert asked
    asked.clear()
    assert answers(pictured) == first
    assert not asked


def test_other_corrections_views_or_lengths_are_asked_for_themselves(
    pictured, answers, asked
) -> None:
    first = answers(pictured[:2])
    for others in (
        (pictured[2:4],),
        (pictured[:2], ("elsewhere", "fact", "no image")),
        (pictured[:2], NAMES, TOKENS - 1),
    ):
        asked.clear()
        assert answers(*others) != first
        assert asked


def test_a_question_without_a_picture_is_asked_once(pictured, answers, asked) -> None:
    case = pictured[0]
    found = answers([case, case], ("fact", "no image", "fact"))
    assert sum(asked) == 2
    assert found[0] == found[1]
    assert found[0][0] == found[0][2] != found[0][1]


def test_text_only_corrections(backbone, texts, answers) -> None:
    found = answers(texts, ("other question",))
    for case, (answer,) in zip(texts, found, strict=True):
        query = backbone.query([None], [case.other_question])
        assert backbone.generate(query, max_new_tokens=TOKENS)[0].strip() == answer


def test_what_was_written_by_half_is_ignored(pictured, answers, asked, tmp_path) -> None:
    first = answers(pictured[:2])
    (path,) = tmp_path.iterdir()
    path.rename(path.with_suffix(".part"))
    whole = path.with_suffix(".part").read_bytes()
    path.with_suffix(".part").write_bytes(whole[:-7])
    asked.clear()
    assert answers(pictured[:2]) == first
    assert asked
    assert path.exists()


def test_many_corrections_are_answered_in_order(pictured, answers, monkeypatch) -> None:
    """In more shards and batches than one."""
    expected = answers(pictured, tuple(VIEWS))
    monkeypatch.setattr("liveedit.benchmark.base_answers._SHARD", 2)
    monkeypatch.setattr("liveedit.benchmark.base_answers._BATCH", 3)
    assert answers(pictured, tuple(VIEWS)) == expected
