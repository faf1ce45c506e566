"""A large store opens from what it has worked out, which is only used where it is right."""

import shutil
from pathlib import Path

import pytest
import torch

from liveedit.methods.liveedit.selection import route_in
from liveedit.methods.liveedit.tensors import keys_of
from liveedit.store import feature_files, revisions, segmented_tensor
from liveedit.store.log import EditLog
from liveedit.store.sql import SqlStore
from tests.store.test_index import filled, made_features, queries_like, router, take_up  # noqa: F401

COUNT, SEGMENT = 300, 64
FULL = COUNT // SEGMENT


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch) -> None:
    for module in (segmented_tensor, feature_files, revisions):
        monkeypatch.setattr(module, "SEGMENT", SEGMENT)


@pytest.fixture
def read(monkeypatch) -> list[int]:
    """Numbers of the edits whose features were read from the log."""
    numbers: list[int] = []
    plain = SqlStore._take_up

    def counted(self, batch) -> None:
        numbers.extend(row.number for row in batch)
        plain(self, batch)

    monkeypatch.setattr(SqlStore, "_take_up", counted)
    return numbers


@pytest.fixture
def location(tmp_path: Path) -> Path:
    """A store of 300 edits, some of them revoked and superseded."""
    place = tmp_path / "edits.db"
    store = filled(place, made_features(COUNT, 1), exact=100)
    store.revoke("7")
    store.revoke("70")
    store.restore("70")
    store.close()
    return place


def files(location: Path, kind: str = "features") -> list[Path]:
    return sorted(Path(f"{location}-features").glob(f"{kind}-*.safetensors"))


def same(one: SqlStore, other: SqlStore) -> None:
    """Two stores know and answer the same."""
    assert one.edits == other.edits
    for revision in range(one.revision + 1):
        assert one.edits_at(revision) == other.edits_at(revision)
    mine, theirs = one.pool().keys, other.pool().keys
    for name in ("vision", "prompt"):
        assert torch.equal(mine.columns[name].whole, theirs.columns[name].whole)
    assert torch.equal(mine.sees, theirs.sees)
    assert torch.equal(one.pool().eligible, other.pool().eligible)


def without_files(location: Path, tmp_path: Path) -> SqlStore:
    copy = tmp_path / "copy.db"
    shutil.copy(location, copy)
    return SqlStore(copy, exact=100)


def test_opening_reads_only_what_is_in_no_file(location, tmp_path, read, router) -> None:  # noqa: F811
    assert len(files(location)) == FULL
    assert len(files(location, "index")) == 1
    store = SqlStore(location, exact=100)
    assert read == list(range(FULL * SEGMENT + 1, COUNT + 1))
    assert store._index.count == COUNT
    other = without_files(location, tmp_path)
    same(store, other)
    queries = queries_like(made_features(COUNT, 1), range(0, COUNT, 3))
    for namespace in ("", "b"):
        weights = []
        for one in (store, other):
            near = one.pool(namespaces=[namespace]).near(keys_of(queries))
            found = route_in(router, queries, near).weights
            weights.append(
                {(row, near.ids[at]): found[row, at] for row, at in found.nonzero().tolist()}
            )
        assert weights[0].keys() == weights[1].keys()
        assert weights[0]


def test_a_store_goes_on_growing_after_it_was_opened(location, tmp_path, read) -> None:
    store = SqlStore(location, exact=100)
    features = made_features(2 * COUNT, 1)
    take_up(store, features, range(COUNT, 2 * COUNT))
    store.revoke("310")
    store.close()
    read.clear()
    again = SqlStore(location, exact=100)
    assert len(read) == 2 * COUNT % SEGMENT
    same(again, without_files(location, tmp_path))


def test_revocations_after_a_file_was_written_count(location, tmp_path) -> None:
    other = EditLog(location)
    other.revoke(["3"])
    other.close()
    store = SqlStore(location, exact=100)
    assert "3" not in {edit.id for edit in store.edits}
    same(store, without_files(location, tmp_path))


@pytest.mark.parametrize("kind", ["features", "index"])
@pytest.mark.parametrize("damage", ["flipped", "short", "empty", "foreign"])
def test_a_damaged_file_is_made_again(location, tmp_path, kind, damage) -> None:
    path = files(location, kind)[0]
    data = bytearray(path.read_bytes())
    if damage == "flipped":
        data[len(data) // 2] ^= 4
    path.unlink()  # a store may still have it mapped
    path.write_bytes({"short": data[:100], "empty": b"", "foreign": b"x" * 1000}.get(damage, data))
    store = SqlStore(location, exact=100)
    same(store, without_files(location, tmp_path))
    assert store._index.count == COUNT
    store.close()
    SqlStore(location, exact=100).close()
    assert len(files(location)) == FULL


def test_files_of_another_log_are_not_used(location, tmp_path, read) -> None:
    other = tmp_path / "other.db"
    filled(other, made_features(COUNT, 9), exact=100).close()
    shutil.rmtree(f"{other}-features")
    shutil.copytree(f"{location}-features", f"{other}-features")
    read.clear()
    store = SqlStore(other, exact=100)
    assert len(read) == COUNT
    same(store, without_files(other, tmp_path))


def test_where_nothing_can_be_written_the_store_works_all_the_same(
    location, tmp_path, monkeypatch
) -> None:
    shutil.rmtree(f"{location}-features")
    Path(f"{location}-features").write_text("in the way")
    store = SqlStore(location, exact=100)
    same(store, without_files(location, tmp_path))
    store.close()


def test_files_of_another_log_that_cannot_be_replaced_are_not_used(
    location, tmp_path, monkeypatch
) -> None:
    other = tmp_path / "other.db"
    filled(other, made_features(COUNT, 9), exact=100).close()
    shutil.rmtree(f"{other}-features")
    shutil.copytree(f"{location}-features", f"{other}-features")
    monkeypatch.setattr(
        feature_files, "write_derived", lambda *_: None
    )  # as in a folder that is read-only
    store = SqlStore(other, exact=100)
    same(store, without_files(other, tmp_path))


def test_damaged_edits_are_in_no_file(location, tmp_path) -> None:
    from liveedit.store.schema import edits

    shutil.rmtree(f"{location}-features")
    log = EditLog(location)
    with log.database.write() as connection:
        connection.execute(edits.update().where(edits.c.number == 100), {"features": b"x"})
    log.close()
    for _ in range(2):
        store = SqlStore(location, exact=100)
        assert [*store.damaged] == ["99"]
        assert len(files(location)) == 1  # the one before
        store.close()


def test_two_dtypes_are_kept_apart(location) -> None:
    SqlStore(location, exact=100, dtype=torch.float16).close()
    assert len(files(location)) == 2 * FULL
    store = SqlStore(location, exact=100, dtype=torch.float16)
    assert store.pool().keys.columns["vision"].whole.dtype == torch.float16
