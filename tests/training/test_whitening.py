import pytest
import torch
from torch.nn import functional as F

from liveedit.training.whitening import discriminants


def two_kinds(classes: int, each: int, width: int) -> tuple[torch.Tensor, list[int]]:
    """Classes differ in the first three channels; whatever else differs does so within them."""
    torch.manual_seed(0)
    owner = torch.arange(classes).repeat_interleave(each)
    vectors = 5 * torch.randn(len(owner), width)
    vectors[:, :3] = torch.randn(classes, 3)[owner] + 0.05 * torch.randn(len(owner), 3)
    return vectors + 7, owner.tolist()


def cosines(vectors: torch.Tensor, centre: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
    found = F.normalize((vectors - centre) @ directions, dim=1)
    return found @ found.T


def test_classes_are_told_apart_where_much_else_differs():
    vectors, classes = two_kinds(40, 6, 12)
    centre, directions = discriminants(vectors, classes, directions=3, shrinkage=0.01)
    assert directions.shape == (12, 3)
    alike = cosines(vectors, centre, directions)
    same = torch.tensor(classes)[:, None] == torch.tensor(classes)
    assert alike[same].quantile(0.05) > 0.9
    assert alike[~same].mean().abs() < 0.1
    plain = cosines(vectors, vectors.mean(0), torch.eye(12))
    assert plain[same].mean() < 0.4  # without directions nobody could tell


def test_vectors_may_be_fewer_than_they_are_wide():
    vectors, classes = two_kinds(6, 2, 200)
    centre, directions = discriminants(vectors, classes, directions=64, shrinkage=0.5)
    assert directions.shape == (200, 11)  # twelve vectors around their centre span no more
    assert torch.isfinite(directions).all()
    alike = cosines(vectors, centre, directions)
    assert alike.diagonal().tolist() == pytest.approx([1.0] * 12, abs=1e-5)


def test_without_two_of_a_class_it_is_plain_whitening():
    vectors, _ = two_kinds(60, 1, 4)
    centre, directions = discriminants(
        vectors, list(range(len(vectors))), directions=4, shrinkage=0.0
    )
    spread = (vectors - centre) @ directions
    torch.testing.assert_close(spread.T @ spread / len(spread), torch.eye(4), atol=1e-3, rtol=0)


@pytest.mark.parametrize("count", [1, 5])
def test_vectors_that_are_all_alike_are_refused(count):
    with pytest.raises(ValueError, match="alike"):
        discriminants(torch.ones(count, 4), list(range(count)), directions=2, shrinkage=0.5)
