import random
from typing import Any

import pytest

from liveedit.data.annotations.audit import LEAKS, Audit, audit
from liveedit.data.annotations.datasets import VLKEB
from liveedit.data.annotations.reading import inspect_rows
from tests.data.annotations.samples import vlkeb_row

TRAIN = vlkeb_row(1)
ROLES = ("image", "image_rephrase", "m_loc")


def compared(train: list[dict[str, Any]], evaluation: list[dict[str, Any]]) -> Audit:
    return audit(
        inspect_rows(train, VLKEB).annotations, inspect_rows(evaluation, VLKEB).annotations
    )


@pytest.mark.parametrize(
    ("shared", "leaks"),
    [
        ({}, set()),
        ({"src": TRAIN["src"], "m_loc_q": TRAIN["m_loc_q"], "alt": TRAIN["alt"]}, set()),
        (
            {"image": TRAIN["image"], "src": "Why?"},
            {"shared_pictures", "shared_pictures_in_any_role", "shared_concepts"},
        ),
        (
            {"image": TRAIN["image"], "src": TRAIN["src"].upper() + " "},
            {
                "shared_pictures", "shared_pictures_in_any_role", "shared_pairs",
                "shared_concepts",
            },
        ),
        ({"image": "m.01/another.jpg"}, {"shared_concepts"}),
        ({"image": TRAIN["m_loc"]}, {"shared_pictures_in_any_role"}),
        ({"image_rephrase": TRAIN["image"]}, {"shared_pictures_in_any_role"}),
        ({"m_loc": TRAIN["m_loc"], "m_loc_q": "Why?"}, {"shared_pictures_in_any_role"}),
        (
            {"m_loc": TRAIN["m_loc"]},
            {"shared_pictures_in_any_role", "shared_locality_probes"},
        ),
        ({"loc": "Who  wrote book 1"}, {"shared_text_probes"}),
    ],
)  # fmt: skip
def test_each_leak_alone(shared: dict[str, str], leaks: set[str]) -> None:
    found = compared([TRAIN], [vlkeb_row(2, **shared), vlkeb_row(3)])
    assert found.leaks == (leaks, frozenset())
    assert found.leaking == bool(leaks)
    assert found.counts == {leak: int(leak in leaks) for leak in LEAKS}


def test_rows_are_counted_not_pictures() -> None:
    evaluation = [vlkeb_row(2, image=TRAIN["image"]), vlkeb_row(3, image=TRAIN["image"])]
    found = compared([TRAIN, TRAIN], evaluation)
    assert (found.train, found.evaluation) == (2, 2)
    assert found.counts["shared_pictures"] == 2


def test_concepts_that_are_not_known() -> None:
    nowhere = {role: f"{role}.jpg" for role in ROLES}  # in no folder, so of no entity
    assert compared([vlkeb_row(1, **nowhere)], [vlkeb_row(2)]).counts["shared_concepts"] is None
    assert compared([vlkeb_row(1)], [vlkeb_row(2)]).counts["shared_concepts"] == 0


@pytest.mark.parametrize("seed", range(20))
def test_counts_against_a_literal_version(seed: int) -> None:
    draw = random.Random(seed)

    def some_rows(count: int) -> list[dict[str, Any]]:
        return [
            vlkeb_row(
                number,
                **{role: f"m.{draw.randrange(8)}/{draw.randrange(3)}.jpg" for role in ROLES},
                src=draw.choice(["Where?", "Who?"]),
                m_loc_q=draw.choice(["Where?", "Who?"]),
                loc=f"question {draw.randrange(12)}",
            )
            for number in range(count)
        ]

    train, evaluation = some_rows(4), some_rows(6)
    expected = {
        "shared_pictures": lambda one, other: one["image"] == other["image"],
        "shared_pictures_in_any_role": lambda one, other: any(
            one[role] == other[another] for role in ROLES for another in ROLES
        ),
        "shared_pairs": lambda one, other: (
            (one["image"], one["src"]) == (other["image"], other["src"])
        ),
        "shared_concepts": lambda one, other: (
            one["image"].split("/")[0] == other["image"].split("/")[0]
        ),
        "shared_locality_probes": lambda one, other: (
            (one["m_loc"], one["m_loc_q"]) == (other["m_loc"], other["m_loc_q"])
        ),
        "shared_text_probes": lambda one, other: one["loc"] == other["loc"],
    }
    counts = {
        leak: sum(any(same(row, seen) for seen in train) for row in evaluation)
        for leak, same in expected.items()
    }
    assert compared(train, evaluation).counts == counts
    everything = compared(evaluation, evaluation)
    assert everything.leaking == len(evaluation)
    assert set(everything.counts.values()) == {len(evaluation)}
