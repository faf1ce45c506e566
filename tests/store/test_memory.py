from collections.abc import Sequence

import pytest
import torch

from liveedit.errors import UnknownEdit
from liveedit.store.edit import Edit
from liveedit.store.memory import MemoryStore
from liveedit.store.tensors import Keys
from tests.store.samples import FEATURES, RANK, WIDTH, memory_store, rank_of


def filled(store: MemoryStore, counts: Sequence[int], namespaces: Sequence[str] = ("",)) -> Keys:
    """Add edits in batches, to the namespaces in turn, every other one text-only; all keys."""
    torch.manual_seed(0)
    count = sum(counts)
    keys = Keys(
        vectors={name: torch.randn(count, FEATURES) for name in ("vision", "prompt")},
        sees=torch.arange(count) % 2 == 0,
    )
    values = {
        name: [torch.randn(rank_of(row), WIDTH) for row in range(count)] for name in ("u", "v")
    }
    edits = [
        Edit(
            prompt="p",
            target=f"t{row}",
            image="i" if row % 2 == 0 else None,
            namespace=namespaces[row % len(namespaces)],
        )
        for row in range(count)
    ]
    first = 0
    for batch in counts:
        some = slice(first, first + batch)
        store.add(
            edits[some],
            Keys(
                vectors={name: rows[some] for name, rows in keys.vectors.items()},
                sees=keys.sees[some],
            ),
            {name: rows[some] for name, rows in values.items()},
        )
        first += batch
    return keys


@pytest.fixture
def store() -> MemoryStore:
    return memory_store()


def test_what_is_added_is_in_the_pool_in_order(store: MemoryStore) -> None:
    keys = filled(store, [1, 3, 40, 1])
    pool = store.pool()
    for name in ("vision", "prompt"):
        assert torch.equal(pool.keys.whole.vectors[name], keys.vectors[name])
    assert torch.equal(pool.keys.sees, keys.sees)
    assert [one.shape for one in pool.take(None)["u"]] == [(rank_of(n), WIDTH) for n in range(45)]
    assert list(pool.ids) == [edit.id for edit in store.edits]
    assert pool.eligible.tolist() == [[True] * 45]
    assert len(store) == 45


def test_growth_copies_the_pool_rarely(store: MemoryStore) -> None:
    places = set()
    for _ in range(200):
        filled(store, [1])
        places.add(store.pool().keys.whole.vectors["vision"].data_ptr())
    assert len(places) <= 6


def test_a_revoked_edit_is_not_eligible_and_its_neighbours_stay(store: MemoryStore) -> None:
    keys = filled(store, [3])
    first, second, third = store.edits
    assert store.revoke(second.id) == second
    assert store.edits == (first, third)
    assert store.pool().eligible.tolist() == [[True, False, True]]
    assert torch.equal(store.pool().keys.whole.vectors["vision"], keys.vectors["vision"])
    with pytest.raises(UnknownEdit):
        store.revoke(second.id)


def test_only_some(store: MemoryStore) -> None:
    filled(store, [3])
    first, second, third = store.edits
    store.revoke(third.id)
    assert store.pool([second.id]).eligible.tolist() == [[False, True, False]]
    assert store.pool([]).eligible.tolist() == [[False] * 3]
    with pytest.raises(UnknownEdit):
        store.pool([first.id, third.id])


def test_what_is_superseded_is_out_of_force_even_if_it_is_named(store: MemoryStore) -> None:
    keys, nothing = filled(store, [1]), torch.zeros(1, RANK, WIDTH)
    (old,) = store.edits
    new = Edit(prompt="p", target="other", image="i", supersedes=(old.id,))
    store.add([new], keys, {"u": nothing, "v": nothing})
    assert store.edits == (new,)
    assert store.pool([old.id]).eligible.tolist() == [[False, False]]
    store.revoke(new.id)
    assert store.pool([old.id]).eligible.tolist() == [[True, False]]


def test_each_query_may_be_routed_to_its_own_namespace(store: MemoryStore) -> None:
    filled(store, [2, 3], ["", "a", "b"])
    names = ["b", "", "never seen", "b", "a"]
    spaces = [edit.namespace for edit in store.edits]
    assert store.pool(namespaces=names).eligible.tolist() == [
        [name == space for space in spaces] for name in names
    ]
    assert store.pool().eligible.tolist() == [[True, False, False, True, False]]


def test_only_some_of_a_namespace(store: MemoryStore) -> None:
    filled(store, [4], ["", "a"])
    _, second, third, fourth = store.edits
    store.revoke(second.id)
    assert store.pool(namespaces=["a"]).eligible.tolist() == [[False, False, False, True]]
    pool = store.pool([third.id, fourth.id], namespaces=["a", ""])
    assert pool.eligible.tolist() == [[False, False, False, True], [False, False, True, False]]


def test_rows_of_a_transaction_that_is_not_kept_are_taken_anew(store: MemoryStore) -> None:
    filled(store, [1])
    with store.transaction(keep=False):
        filled(store, [3], ["a"])
    keys = filled(store, [2], ["b"])
    assert store.pool(namespaces=["a", "b", ""]).eligible.tolist() == [
        [False, False, False], [False, True, True], [True, False, False],
    ]  # fmt: skip
    assert torch.equal(store.pool().keys.sees[1:], keys.sees)
