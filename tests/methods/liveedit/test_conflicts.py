import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from liveedit.methods.liveedit.config import LiveEditConfig
from liveedit.methods.liveedit.conflicts import find_conflicts, likeness, superseding
from liveedit.methods.liveedit.routing import EditFeatures
from liveedit.methods.liveedit.tensors import keys_of
from liveedit.methods.outcome import Conflict
from liveedit.store.edit import Edit
from liveedit.store.layout import Layout
from liveedit.store.memory import MemoryStore

LAYOUT = Layout(keys={"vision": 2, "prompt": 2}, values={"u": (1, 3), "v": (1, 3)})
CONFIG = LiveEditConfig(same=0.8, same_text=0.9)


def at(*degrees: float) -> Tensor:
    """Unit vectors in a plane: cosines are those of differences of angles."""
    return torch.tensor([[math.cos(math.radians(d)), math.sin(math.radians(d))] for d in degrees])


def stated(targets: str, **options: str | None) -> list[Edit]:
    options = {"prompt": "p", "image": "i"} | options
    return [Edit(target=target, **options) for target in targets.split()]


def filled(edits: list[Edit], features: EditFeatures) -> MemoryStore:
    store = MemoryStore(LAYOUT)
    nothing = torch.zeros(len(edits), 1, 3)
    store.add(edits, keys_of(features), {"u": nothing, "v": nothing})
    return store


def found(
    edits: list[Edit],
    features: EditFeatures,
    store: MemoryStore | None = None,
    config: LiveEditConfig = CONFIG,
) -> list[tuple[Conflict, ...]]:
    store = store or MemoryStore(LAYOUT)
    pool = store.pool(namespaces=[edit.namespace for edit in edits])
    return find_conflicts(edits, features, pool, store.get, config)


def same(count: int, *, sees: bool = True) -> EditFeatures:
    """Features that do not differ."""
    return EditFeatures(
        vision=at(*[0.0] * count), prompt=at(*[0.0] * count), sees=torch.tensor([sees] * count)
    )


def test_likeness_equals_a_slow_one() -> None:
    torch.manual_seed(0)
    one, other = (
        EditFeatures(
            vision=F.normalize(torch.randn(rows, 5), dim=1),
            prompt=F.normalize(torch.randn(rows, 5), dim=1),
            sees=torch.arange(rows) % 3 != 0,
        )
        for rows in (6, 9)
    )
    expected = torch.full((6, 9), -1.0)
    for a in range(6):
        for b in range(9):
            asked = float(one.prompt[a] @ other.prompt[b])
            if one.sees[a] and other.sees[b]:
                expected[a, b] = min(asked, float(one.vision[a] @ other.vision[b]))
            elif not one.sees[a] and not other.sees[b]:
                expected[a, b] = asked
    torch.testing.assert_close(likeness(one, other), expected)


@pytest.mark.parametrize(
    ("sees", "shown", "asked", "conflicts"),
    [
        (True, 30, 0, True),
        (True, 0, 30, True),
        (True, 40, 0, False),
        (True, 0, 40, False),
        (False, 90, 20, True),  # whatever would be seen
        (False, 90, 30, False),
    ],
)
def test_each_kind_has_a_bound_of_its_own(sees, shown, asked, conflicts) -> None:
    earlier, image = stated("one", image="i" if sees else None), "i" if sees else None
    features = EditFeatures(vision=at(shown), prompt=at(asked), sees=torch.tensor([sees]))
    (told,) = found(stated("other", image=image), features, filled(earlier, same(1, sees=sees)))
    if conflicts:
        (conflict,) = told
        assert (conflict.edit, conflict.kind) == (earlier[0], "contradicts")
        nearest = min(math.cos(math.radians(d)) for d in ((shown, asked) if sees else (asked,)))
        assert conflict.similarity == pytest.approx(nearest)
    else:
        assert told == ()


@pytest.mark.parametrize("sees", [False, True])
def test_with_and_without_a_picture_never_conflict(sees) -> None:
    store = filled(stated("one"), same(1, sees=sees))
    assert found(stated("other"), same(1, sees=not sees), store) == [()]
    careless = LiveEditConfig(same=0.0, same_text=0.0)
    assert found(stated("other"), same(1, sees=not sees), store, careless) == [()]


@pytest.mark.parametrize("sees", [False, True])
def test_namespaces_never_conflict_in_the_store_or_the_batch(sees) -> None:
    a, b = (stated("one", namespace=name)[0] for name in "ab")
    store = filled([a, b], same(2, sees=sees))
    new = [stated("other", namespace=name)[0] for name in "abca"]
    told = found(new, same(4, sees=sees), store)
    assert [[one.edit for one in row] for row in told] == [[a], [b], [], [a, new[0]]]


def test_a_later_one_of_the_batch_conflicts_with_an_earlier_one() -> None:
    edits = stated("one other ONE")
    first, second, third = found(edits, same(3))
    assert first == ()
    assert [(one.edit, one.kind) for one in second] == [(edits[0], "contradicts")]
    assert {one.edit.id: one.kind for one in third} == {
        edits[0].id: "repeats",
        edits[1].id: "contradicts",
    }


def test_the_most_alike_comes_first_and_what_is_not_in_force_is_left_out() -> None:
    far, near, revoked = stated("far near revoked")
    features = EditFeatures(vision=at(0, 0, 0), prompt=at(30, 10, 0), sees=torch.ones(3).bool())
    store = filled([far, near, revoked], features)
    store.revoke(revoked.id)
    (told,) = found(stated("other"), same(1), store)
    assert [one.edit for one in told] == [near, far]


def test_superseding_names_what_the_superseded_had_superseded() -> None:
    (oldest,) = stated("one", image=None)
    old = Edit(prompt="p", target="two", image=None, supersedes=(oldest.id,))
    edits = stated("other another other", image=None)
    told = found(edits, same(3, sees=False), filled([oldest, old], same(2, sees=False)))
    first, second, third = superseding(edits, told)
    assert set(first.supersedes) == {old.id, oldest.id}
    assert set(second.supersedes) == {old.id, oldest.id, first.id}
    assert set(third.supersedes) == {old.id, oldest.id, first.id, second.id}
