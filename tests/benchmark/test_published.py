"""The quoted figures, held against what the paper prints beside them."""

from collections import Counter

import pytest

from liveedit.benchmark.published.paper import FIVE, SOURCE, published


def one(table: int, dataset: str, backbone: str, edits: int, method: str) -> list[float]:
    (row,) = (
        row
        for row in published()
        if (row.table, row.dataset, row.backbone, row.edits, row.method)
        == (table, dataset, backbone, edits, method)
    )
    return [*(row.metrics[metric] for metric in FIVE), row.average]


def test_every_printed_average_is_that_of_its_row():
    """To two decimals; a figure mistyped by more than that cannot pass."""
    for row in published():
        assert sum(row.metrics.values()) / 5 == pytest.approx(row.average, abs=0.0101), row


def test_no_row_is_lost_but_the_one_that_is_told():
    counted = Counter((row.table, row.dataset, row.backbone, row.edits) for row in published())
    assert counted == {
        **{(1, dataset, "LLaVA", n): 9 for dataset in ("E-VQA", "VLKEB") for n in (1, 10, 1000)},
        **{(1, dataset, "BLIP2", 1): 9 for dataset in ("E-VQA", "VLKEB")},
        (1, "E-VQA", "BLIP2", 1000): 9,
        (1, "VLKEB", "BLIP2", 1000): 8,
        (2, "E-VQA", "BLIP2", 1000): 6,
    }
    methods = {row.method for row in published() if row.table == 1}
    assert methods == {
        "FT-L", "FT-M", "MEND", "SERAC", "TP", "LTE", "RECIPE", "LEMoE", "LiveEdit",
    }  # fmt: skip
    there = {
        row.method
        for row in published()
        if (row.table, row.dataset, row.backbone, row.edits) == (1, "VLKEB", "BLIP2", 1000)
    }
    assert methods - there == {"RECIPE"}


@pytest.mark.parametrize(
    ("where", "figures"),
    [
        ((1, "E-VQA", "LLaVA", 1000, "LiveEdit"), [92.93, 90.16, 84.30, 100, 96.43, 92.76]),
        ((1, "VLKEB", "LLaVA", 1000, "LiveEdit"), [92.22, 83.97, 82.75, 100, 100, 91.79]),
        ((1, "VLKEB", "LLaVA", 10, "LEMoE"), [91.55, 84.58, 81.03, 67.19, 72.81, 79.43]),
        ((1, "E-VQA", "BLIP2", 1, "MEND"), [93.13, 92.76, 93.07, 92.00, 75.81, 89.35]),
        ((2, "E-VQA", "BLIP2", 1000, "−ℓ_sr1"), [87.93, 83.77, 73.40, 100, 76.93, 84.41]),
    ],
)
def test_single_rows(where, figures):
    assert one(*where) == figures


def test_the_full_method_of_table_2_is_the_row_of_table_1():
    assert one(2, "E-VQA", "BLIP2", 1000, "full") == one(1, "E-VQA", "BLIP2", 1000, "LiveEdit")


def test_the_source_can_be_found():
    assert "2411.15432" in SOURCE
