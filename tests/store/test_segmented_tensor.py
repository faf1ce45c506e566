"""Rows in segments are as rows in one piece."""

import pytest
import torch

from liveedit.methods.liveedit.features import RoutingFeatures
from liveedit.methods.liveedit.routing import Router
from liveedit.methods.liveedit.tensors import features_of
from liveedit.store import segmented_tensor
from liveedit.store.segmented_tensor import GrowingTensor, SegmentedTensor
from liveedit.store.tensors import KeyRows


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch) -> None:
    monkeypatch.setattr(segmented_tensor, "SEGMENT", 8)


@pytest.mark.parametrize("sizes", [(3, 4, 1), (8, 8), (20,), (1,) * 19, (5, 16, 2), (0, 8, 0, 1)])
def test_what_was_written_is_read(sizes) -> None:
    grown = GrowingTensor(torch.empty(0, 2))
    values = torch.randn(sum(sizes), 2)
    count = 0
    for size in sizes:
        before = grown.first(count)
        grown.write(count, values[count : count + size])
        assert torch.equal(before.whole, values[:count])
        count += size
    held = grown.first(count)
    assert len(held) == count
    assert torch.equal(held.whole, values)
    some = torch.randint(count, (50,))
    assert torch.equal(held[some], values[some])
    assert torch.equal(held[some[:0]], values[:0])


def test_growing_leaves_full_segments_where_they_are() -> None:
    grown = GrowingTensor(torch.empty(0, 2))
    grown.write(0, torch.randn(17, 2))
    before = [segment.data_ptr() for segment in grown.first(16).segments]
    grown.write(17, torch.randn(100, 2))
    assert [segment.data_ptr() for segment in grown.first(16).segments] == before


def test_a_full_segment_is_taken_as_it_is() -> None:
    grown, values = GrowingTensor(torch.empty(0, 2)), torch.randn(8, 2)
    grown.write(0, values)
    assert grown.first(8).whole.data_ptr() == values.data_ptr()
    half = values.half()
    grown.write(8, half)
    assert torch.equal(grown.first(16).segments[1], half.float())


@pytest.mark.parametrize("count", [0, 5, 8, 19])
def test_comparing_part_by_part_is_comparing_all(count) -> None:
    from liveedit.methods.liveedit.features import Similarities

    vision, prompt = torch.randn(2, count, 3)
    columns = {
        name: SegmentedTensor(tuple(tensor.split(8)))
        for name, tensor in (("vision", vision), ("prompt", prompt))
    }
    keys = KeyRows(columns=columns, sees=torch.arange(count) % 2 == 0)
    queries = RoutingFeatures(
        vision=torch.randn(4, 3), prompt=torch.randn(4, 3), sentinel=torch.randn(4, 3),
        sees=torch.tensor([True, False, True, True]),
    )  # fmt: skip
    router = Router()
    together = Similarities.join(
        [router.similarities(queries, part) for part in map(features_of, keys.parts())]
    )
    whole = router.similarities(queries, features_of(keys.whole))
    for name in ("vision", "sentinel", "prompt", "sees", "alike"):
        torch.testing.assert_close(getattr(together, name), getattr(whole, name))
