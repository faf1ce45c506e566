import pytest
import torch

from liveedit.errors import UnknownEdit
from liveedit.expert import Experts
from liveedit.routing import RoutingFeatures
from liveedit.store.memory import Edit, MemoryStore

RANK, WIDTH, FEATURES = 2, 6, 4


def filled(store: MemoryStore, counts: list[int]) -> torch.Tensor:
    """Add edits in batches; gives all vision features in order."""
    torch.manual_seed(0)
    added = []
    for batch in counts:
        vision = torch.randn(batch, FEATURES)
        features = RoutingFeatures(
            vision=vision,
            prompt=torch.randn(batch, FEATURES),
            sentinel=torch.randn(batch, FEATURES),
            sees=torch.ones(batch, dtype=torch.bool),
        )
        experts = Experts(u=torch.randn(batch, RANK, WIDTH), v=torch.randn(batch, RANK, WIDTH))
        edits = [Edit(prompt="p", target=f"t{number}", image="i") for number in range(batch)]
        store.add(edits, experts, features)
        added.append(vision)
    return torch.cat(added)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(width=WIDTH, rank=RANK, features=FEATURES)


def test_what_is_added_is_in_the_pool_in_order(store: MemoryStore) -> None:
    vision = filled(store, [1, 3, 40, 1])
    pool = store.pool()
    assert torch.equal(pool.vision, vision)
    assert pool.experts.u.shape == (45, RANK, WIDTH)
    assert list(pool.ids) == [edit.id for edit in store.edits]
    assert pool.eligible.all()
    assert len(store) == 45


def test_growth_copies_the_pool_rarely(store: MemoryStore) -> None:
    places = set()
    for _ in range(200):
        filled(store, [1])
        places.add(store.pool().vision.data_ptr())
    assert len(places) <= 6


def test_a_revoked_edit_is_not_eligible_and_its_neighbours_stay(store: MemoryStore) -> None:
    vision = filled(store, [3])
    first, second, third = store.edits
    assert store.revoke(second.id) == second
    assert store.edits == (first, third)
    assert store.pool().eligible.tolist() == [True, False, True]
    assert torch.equal(store.pool().vision, vision)
    with pytest.raises(UnknownEdit):
        store.revoke(second.id)


def test_only_some(store: MemoryStore) -> None:
    filled(store, [3])
    first, second, third = store.edits
    store.revoke(third.id)
    assert store.pool([second.id]).eligible.tolist() == [False, True, False]
    assert store.pool([]).eligible.tolist() == [False] * 3
    with pytest.raises(UnknownEdit):
        store.pool([first.id, third.id])
