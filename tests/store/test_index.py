"""Very many edits: an index proposes, exact scores decide as they would among all."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from liveedit.methods.liveedit.features import EditFeatures, RoutingFeatures
from liveedit.methods.liveedit.routing import Router
from liveedit.methods.liveedit.selection import choose_experts, route_in
from liveedit.methods.liveedit.tensors import features_of, keys_of
from liveedit.store.edit import Edit
from liveedit.store.layout import Layout
from liveedit.store.records import Identity
from liveedit.store.sql import SqlStore

COUNT, FEATURES = 1000, 64


def made_features(count: int, seed: int, *, text: bool = True) -> EditFeatures:
    """Questions and pictures in clusters, every fifth without a picture."""
    random = torch.Generator().manual_seed(seed)

    def drawn() -> torch.Tensor:
        centres = torch.randn(40, FEATURES, generator=torch.Generator().manual_seed(0))
        which = torch.randint(40, (count,), generator=random)
        return F.normalize(centres[which] + 0.7 * torch.randn(count, FEATURES, generator=random))

    sees = torch.arange(count) % 5 != 4 if text else torch.ones(count, dtype=torch.bool)
    vision = torch.where(sees[:, None], drawn(), 0.0)
    return EditFeatures(vision=vision, prompt=drawn(), sees=sees)


def queries_like(features: EditFeatures, rows: Sequence[int]) -> RoutingFeatures:
    torch.manual_seed(1)
    which = list(rows)

    def near(part: torch.Tensor) -> torch.Tensor:
        return F.normalize(part[which] + 0.02 * torch.randn(len(which), FEATURES))

    vision = near(features.vision)
    return RoutingFeatures(
        vision=vision, prompt=near(features.prompt), sees=features.sees[which],
        sentinel=0.3 * vision,
    )  # fmt: skip


def filled(location: Path, features: EditFeatures, **options) -> SqlStore:
    layout = Layout(
        keys={"vision": FEATURES, "prompt": FEATURES}, values={"u": (1, 2), "v": (1, 2)}
    )
    identity = Identity(fingerprint={}, method="liveedit", layout=layout)
    store = SqlStore(location, identity, **options)
    take_up(store, features, range(len(features.sees)))
    return store


def take_up(store: SqlStore, features: EditFeatures, rows: Sequence[int]) -> None:
    which = list(rows)
    edits = [
        Edit(
            id=str(row), prompt="p", target="t", image=str(row) if features.sees[row] else None,
            namespace="b" if row % 10 == 3 else "",
        )
        for row in which
    ]  # fmt: skip
    numbers = torch.tensor(which).float()[:, None, None].expand(-1, 1, 2)
    some = EditFeatures(
        vision=features.vision[which], prompt=features.prompt[which], sees=features.sees[which]
    )
    store.add(edits, keys_of(some), {"u": numbers, "v": -numbers})


@pytest.fixture
def router() -> Router:
    router = Router()
    router.margin.fill_(-1.0)
    router.crowding.fill_(0.2)
    router.subject_margin.fill_(-100.0)  # subjects here are random
    return router


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_what_is_found_is_what_all_would_give(tmp_path: Path, router: Router, dtype) -> None:
    features = made_features(COUNT, 1)
    store = filled(tmp_path / "edits.db", features, exact=500, dtype=dtype)
    store.log.revoke([str(edit) for edit in range(0, 70, 7)])
    for space in ("", "b"):
        pool = store.pool(namespaces=[space])
        queries = queries_like(features, range(0, COUNT, 10))
        near = pool.near(keys_of(queries))
        assert len(near.ids) < COUNT
        assert near.ids != pool.ids
        exact = router.route(queries, features_of(pool.keys.whole), pool.eligible)
        found = route_in(router, queries, near)
        torch.testing.assert_close(found.threshold, exact.threshold)
        wanted = {
            (row, pool.ids[column]): exact.weights[row, column].item()
            for row, column in exact.weights.nonzero().tolist()
        }
        got = {
            (row, near.ids[column]): found.weights[row, column].item()
            for row, column in found.weights.nonzero().tolist()
        }
        assert got.keys() == wanted.keys()
        assert got == pytest.approx(wanted, abs=1e-3)
        if space == "":
            assert len(wanted) > 30
        routed = choose_experts(router, queries, pool)
        first = routed.weights.argmax(1)
        for row in range(0, 100, 9):
            if routed.weights[row].any():
                number = routed.experts.u[row, first[row], 0].item()
                assert str(int(number)) == pool.ids[int(exact.weights[row].argmax())]


def test_a_batch_with_a_namespace_each(tmp_path: Path, router: Router) -> None:
    features = made_features(COUNT, 2)
    store = filled(tmp_path / "edits.db", features, exact=500)
    queries = queries_like(features, [3, 13, 20, 21])
    pool = store.pool(namespaces=["b", "", "", "b"]).near(keys_of(queries))
    weights = route_in(router, queries, pool).weights
    best = [
        pool.ids[row] if weights[at].any() else None for at, row in enumerate(weights.argmax(1))
    ]
    assert best[0] == "3"
    assert best[1] != "13"
    assert best[2] == "20"
    assert best[3] != "21"


def test_new_edits_are_found_before_and_after_the_index_takes_them_up(
    tmp_path: Path, router: Router
) -> None:
    features = made_features(2 * COUNT, 3)
    store = filled(
        tmp_path / "edits.db", EditFeatures(
            vision=features.vision[:COUNT], prompt=features.prompt[:COUNT],
            sees=features.sees[:COUNT],
        ), exact=500,
    )  # fmt: skip
    for start, count in ((COUNT, 10), (COUNT + 10, 10), (COUNT + 20, 50), (COUNT + 70, 900)):
        before = store._index.count
        take_up(store, features, range(start, start + count))
        assert (store._index.count > before) == (start + count - before > 25)
        rows = [start, start + count - 1]
        queries = queries_like(features, rows)
        near = store.pool(namespaces=[""]).near(keys_of(queries))
        assert [near.ids[row] for row in route_in(router, queries, near).weights.argmax(1)] == [
            str(row) for row in rows
        ]


def test_few_edits_are_all_compared(tmp_path: Path) -> None:
    features = made_features(20, 4)
    pool = filled(tmp_path / "edits.db", features).pool()
    assert pool.near(keys_of(queries_like(features, [0]))) is pool


def test_a_damaged_expert_is_left_out_and_the_others_answer(tmp_path: Path, router: Router) -> None:
    from liveedit.errors import DamagedEdit
    from liveedit.store.schema import experts

    features = made_features(20, 5)
    store = filled(tmp_path / "edits.db", features)
    with store.log.database.write() as connection:
        connection.execute(experts.update().where(experts.c.number == 1), {"tensors": b"x"})
    queries = queries_like(features, [0])
    with pytest.raises(DamagedEdit):
        choose_experts(router, queries, store.pool())
    choose_experts(router, queries, store.pool())
    assert [*store.damaged] == ["0"]
