"""Experts of different ranks in one file, and files from when all had the same."""

import pytest
import torch

from liveedit.store.ragged import ROWS, joined, parted
from liveedit.store.serialization import BadBytes, pack, unpack

SHAPES = {"u": (None, 3), "v": (None, 3), "bias": (2,)}


def values(ranks: list[int], dtype: torch.dtype = torch.float16) -> dict[str, list[torch.Tensor]]:
    torch.manual_seed(0)
    return {
        "u": [torch.randn(rank, 3).to(dtype) for rank in ranks],
        "v": [torch.randn(rank, 3).to(dtype) for rank in ranks],
        "bias": [torch.randn(2) for _ in ranks],
    }


def test_what_is_joined_is_parted_again() -> None:
    held = values([2, 1, 5])
    tensors = joined(held, SHAPES)
    assert tensors["u"].shape == (8, 3)
    assert tensors["bias"].shape == (3, 2)
    assert tensors[ROWS].tolist() == [2, 1, 5]
    again = parted(tensors, SHAPES)
    for name, rows in held.items():
        assert all(map(torch.equal, again[name], rows))
        assert [one.dtype for one in again[name]] == [one.dtype for one in rows]


def test_one_of_single_precision_loses_nothing_beside_others() -> None:
    held = values([2, 3])
    held["u"][1] = torch.randn(3, 3)
    again = parted(joined(held, SHAPES), SHAPES)
    assert torch.equal(again["u"][1], held["u"][1])
    assert torch.equal(again["u"][0], held["u"][0].float())


def test_files_from_when_all_had_the_same_rank_are_read() -> None:
    old = {name: torch.randn(4, 8, 3) for name in ("u", "v")} | {"bias": torch.randn(4, 2)}
    assert [one.shape for one in parted(old, SHAPES)["u"]] == [(8, 3)] * 4


@pytest.mark.parametrize("rows", [[2, 1], [9, -1], [2, 1, 6]])
def test_rows_that_do_not_add_up_are_refused(rows: list[int]) -> None:
    tensors = joined(values([2, 1, 5]), SHAPES) | {ROWS: torch.tensor(rows)}
    with pytest.raises(ValueError, match="8 rows"):
        parted(tensors, SHAPES)


def test_an_edit_keeps_its_precision_and_is_checked_for_its_rank() -> None:
    one = {name: rows[0] for name, rows in values([4]).items()}
    again = unpack(pack(one), SHAPES)
    assert all(torch.equal(again[name], one[name]) for name in one)
    assert again["u"].dtype == torch.float16
    with pytest.raises(BadBytes, match=r"[uv] is torch\.float16 of shape"):
        unpack(pack(one | {"v": one["v"][:2]}), SHAPES)
    with pytest.raises(BadBytes):
        unpack(pack({name: one[name][:0] for name in ("u", "v")} | {"bias": one["bias"]}), SHAPES)
    bfloat = unpack(pack(one | {"u": one["u"].bfloat16()}), SHAPES)
    assert bfloat["u"].dtype == torch.float32
