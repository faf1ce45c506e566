import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from liveedit.errors import (
    BadText,
    OtherMethod,
    StoreError,
    StoreMismatch,
    StoreUnusable,
    UnknownEdit,
    UnknownRevision,
)
from liveedit.store.check import check_store
from liveedit.store.layout import Layout
from liveedit.store.log import EditLog
from liveedit.store.sql import SqlStore

from .samples import IDENTITY, add, edit_of, equal, in_force, memory_store, sql_store, tensors_of


@pytest.fixture(params=["sqlite", "postgresql"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store may be made, in both homes."""
    if request.param == "sqlite":
        return str(tmp_path / "edits.db")
    return request.getfixturevalue("postgresql")


def test_both_homes_give_back_what_was_added(location: str) -> None:
    store = sql_store(location)
    edits = add(store, *range(5), namespace="a") + add(store, 5, 6, namespace="a")
    again = sql_store(location)
    assert again.edits == tuple(edits)
    assert again.revision == store.revision == 2
    keys, values = tensors_of(range(7))
    pool = again.pool(namespaces=["a"])
    assert pool.eligible.tolist() == [[True] * 7]
    assert list(pool.ids) == [edit.id for edit in edits]
    for name in ("vision", "prompt"):
        assert torch.equal(pool.keys.whole.vectors[name], keys.vectors[name])
    assert torch.equal(pool.keys.sees, keys.sees)
    assert equal(pool.take(None)["u"], values["u"])
    assert equal(pool.take(None)["v"], values["v"])
    some = pool.take(torch.tensor([4, 1, 4]))
    assert equal(some["u"], [values["u"][row] for row in (4, 1, 4)])
    assert again.get("edit-6") == edits[6]
    assert not again.pool().eligible.any()


def test_revoke_supersede_and_restore_as_in_memory(location: str) -> None:
    stores = [memory_store(), sql_store(location)]
    for store in stores:
        add(store, 0, 1)
        add(store, 2, supersedes=("edit-0",))
        assert in_force(store) == ["edit-1", "edit-2"]
        store.revoke("edit-2", author="bob", reason="no")
        assert in_force(store) == ["edit-0", "edit-1"]
        with pytest.raises(UnknownEdit):
            store.revoke("edit-2")
        with pytest.raises(UnknownEdit):
            store.get("edit-2")
        store.restore("edit-2")
        assert in_force(store) == ["edit-1", "edit-2"]
        for wrong in ("edit-2", "nothing"):
            with pytest.raises(UnknownEdit):
                store.restore(wrong)
        assert store.revision == 4
        found = [[edit.id for edit in store.edits_at(revision)] for revision in range(5)]
        assert found == [
            [], ["edit-0", "edit-1"], ["edit-1", "edit-2"], ["edit-0", "edit-1"],
            ["edit-1", "edit-2"],
        ]  # fmt: skip
        for revision, ids in enumerate(found):
            pool = store.pool(revision=revision)
            rows = pool.eligible[0].nonzero().flatten().tolist()
            assert [pool.ids[row] for row in rows] == ids
        with pytest.raises(UnknownRevision, match="0 to 4"):
            store.pool(revision=5)


def test_several_are_revoked_or_restored_at_once_or_none_as_in_memory(location: str) -> None:
    for store in (memory_store(), sql_store(location)):
        add(store, 0, 1, 2)
        add(store, 3, supersedes=("edit-0",))
        with pytest.raises(UnknownEdit):
            store.revoke_many(["edit-3", "nothing"])
        assert in_force(store) == ["edit-1", "edit-2", "edit-3"]
        taken = store.revoke_many(["edit-3", "edit-1"], author="bob")
        assert [edit.id for edit in taken] == ["edit-3", "edit-1"]
        assert in_force(store) == ["edit-0", "edit-2"]
        assert store.revision == 3
        for wrong in ("edit-2", "nothing"):
            with pytest.raises(UnknownEdit):
                store.restore_many(["edit-1", wrong])
        assert in_force(store) == ["edit-0", "edit-2"]
        back = store.restore_many(["edit-3", "edit-1"], author="bob")
        assert [edit.id for edit in back] == ["edit-3", "edit-1"]
        assert in_force(store) == ["edit-1", "edit-2", "edit-3"]
        assert store.revision == 4


def test_some_edits_by_their_names_as_in_memory(location: str) -> None:
    for store in (memory_store(), sql_store(location)):
        add(store, 0, 1, 2)
        add(store, 3, supersedes=("edit-0",))
        store.revoke("edit-1")
        asked = ["edit-3", "edit-1", "edit-0"]
        found = store.some(asked)
        assert list(found) == ["edit-3", "edit-0"]
        assert all(edit.id == name for name, edit in found.items())
        assert list(store.some(asked, revoked=True)) == asked
        for revoked in (False, True):
            with pytest.raises(UnknownEdit):
                store.some(["edit-0", "nothing"], revoked=revoked)
        with store.transaction():
            add(store, 4)
            assert store.some(["edit-4", "edit-2"])["edit-4"].target == "answer 4"


def test_states_of_few_are_those_of_all(location: str) -> None:
    store = sql_store(location)
    add(store, *range(5))
    add(store, 5, supersedes=("edit-1",))
    add(store, 6, supersedes=("edit-2",))
    store.revoke("edit-6")
    store.revoke("edit-3")
    for as_of in range(6):
        every = {entry.edit.id: entry for entry in store.log.entries(as_of=as_of)}
        for name, entry in every.items():
            assert store.log.entries(as_of=as_of, ids=[name]) == [entry]
    assert [entry.state for entry in every.values()] == [
        "in force", "superseded", "in force", "revoked", "in force", "in force", "revoked"
    ]  # fmt: skip


def test_readers_follow_without_being_opened_again(location: str) -> None:
    writer, reader = sql_store(location), sql_store(location)
    for number in range(3):
        add(writer, number)
        assert reader.pool().eligible.sum() == number + 1
    before = reader.pool()
    writer.revoke("edit-1")
    assert reader.pool().eligible.tolist() == [[True, False, True]]
    assert before.eligible.tolist() == [[True] * 3], "a pool never changes"


def test_a_transaction_is_one_revision_and_seen_by_its_thread_alone(location: str) -> None:
    store, other = sql_store(location), sql_store(location)
    seen: list[int] = []

    def look() -> None:
        seen.append(int(store.pool().eligible.sum()))

    with store.transaction():
        add(store, 0)
        add(store, 1, supersedes=("edit-0",))
        assert in_force(store) == ["edit-1"]
        assert equal(store.pool().take(None)["u"], tensors_of([0, 1])[1]["u"])
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        assert in_force(other) == []
    assert seen == [0]
    assert store.revision == other.revision == 1
    assert in_force(store) == in_force(other) == ["edit-1"]


@contextmanager
def failing_after(work: Callable[[], object]) -> Iterator[None]:
    yield
    work()
    raise RuntimeError("on purpose")


@pytest.mark.parametrize("nested", [False, True])
def test_what_a_transaction_does_not_keep_was_never_there(location: str, nested: bool) -> None:
    store = sql_store(location)
    add(store, 0)
    if nested:
        with store.transaction():
            with store.transaction(keep=False):
                add(store, 1, supersedes=("edit-0",))
            add(store, 2)
    else:
        with store.transaction(keep=False):
            add(store, 1, supersedes=("edit-0",))
        with (
            pytest.raises(RuntimeError, match="on purpose"),
            store.transaction(),
            failing_after(lambda: add(store, 1)),
        ):
            pass
        add(store, 2)
    assert in_force(store) == in_force(sql_store(location)) == ["edit-0", "edit-2"]
    assert store.revision == 2


def test_the_log_tells_all(location: str) -> None:
    store = sql_store(location)
    add(store, 0, 1, namespace="a")
    add(store, 2, supersedes=("edit-1",), namespace="a", author="bob")
    store.revoke("edit-0", author="eve", reason="50% worse")
    log = EditLog(location)
    assert {entry.edit.id: entry.state for entry in log.entries()} == {
        "edit-0": "revoked", "edit-1": "superseded", "edit-2": "in force",
    }  # fmt: skip
    assert {entry.state for entry in log.entries(as_of=1)} == {"in force"}
    assert [entry.edit.id for entry in log.entries(text="BOB")] == ["edit-2"]
    assert [entry.edit.id for entry in log.entries(text="ANSWER 1")] == ["edit-1"]
    assert log.entries(text="%") == log.entries(namespace="b") == []
    assert [(one.kind, one.author, one.edits) for one in log.history()] == [
        ("add", "ann", ("edit-0", "edit-1")), ("add", "bob", ("edit-2",)),
        ("revoke", "eve", ("edit-0",)),
    ]  # fmt: skip
    assert [one.reason for one in log.history(after=2)] == ["50% worse"]
    came, went = log.difference(1, 3)
    assert ([edit.id for edit in came], [edit.id for edit in went]) == (
        ["edit-2"], ["edit-0", "edit-1"],
    )  # fmt: skip
    assert check_store(log).clean
    assert log.thumbnail(f"{0:064d}")[8:12] == b"WEBP"
    assert log.thumbnail("none") is None


def test_a_correction_is_found_by_what_it_says(location: str) -> None:
    store = sql_store(location)
    first, second = add(store, 0, 1, namespace="a")
    store.revoke(second.id)
    digests = [edit_of(number, id="other").digest for number in range(3)]
    assert store.log.known(digests, "a") == {first.digest: first.id, second.digest: second.id}
    assert store.log.known(digests, "b") == {}


def test_an_edit_is_written_once(location: str) -> None:
    store = sql_store(location)
    add(store, 0)
    with pytest.raises(StoreError, match="already"):
        store.log.append([replace_of(store)])
    add(store, 1)
    assert in_force(store) == ["edit-0", "edit-1"]
    assert check_store(store.log).clean


def replace_of(store: SqlStore):
    from liveedit.store.records import NewEdit
    from liveedit.store.serialization import pack

    keys, values = tensors_of([7])
    return NewEdit(
        edit=edit_of(0),
        keys=pack({"vision": keys.vectors["vision"][0], "prompt": keys.vectors["prompt"][0]}),
        values=pack({"u": values["u"][0], "v": values["v"][0]}),
    )


def test_what_no_database_can_hold_is_refused(location: str) -> None:
    store = sql_store(location)
    with pytest.raises(BadText, match="NUL"):
        add(store, 0, reason="a\0b")
    with pytest.raises(BadText, match="NUL"):
        store.revoke("edit-0", reason="a\0b")
    assert store.revision == 0


def test_a_store_of_another_editor_is_refused_and_says_why(location: str) -> None:
    add(sql_store(location), 0)
    other = replace(IDENTITY, fingerprint=IDENTITY.fingerprint | {"editor": "xyz", "new": 1})
    with pytest.raises(StoreMismatch, match=r"editor: store 'abc', here 'xyz', new: store None"):
        SqlStore(location, other)
    with pytest.raises(StoreMismatch, match="tensors"):
        SqlStore(location, replace(IDENTITY, layout=Layout(keys={"vision": 3}, values={})))
    with pytest.raises(OtherMethod, match="made by the method 'liveedit', not 'retrieval'"):
        SqlStore(location, replace(IDENTITY, method="retrieval"))
    assert in_force(SqlStore(location)) == ["edit-0"]


def test_experts_are_read_when_taken_and_few_are_kept(tmp_path: Path, monkeypatch) -> None:
    store = sql_store(tmp_path / "edits.db", kept=2)
    add(store, *range(5))
    asked: list[list[int]] = []
    read = store.log.values
    monkeypatch.setattr(store.log, "values", lambda numbers: asked.append(numbers) or read(numbers))
    pool = store.pool()
    assert asked == []
    for rows in ([0, 1], [1, 2], [0], [2]):
        assert equal(pool.take(torch.tensor(rows))["u"], tensors_of(rows)[1]["u"])
    assert asked == [[1, 2], [3], [1]]


def test_no_rows_are_no_experts(tmp_path: Path) -> None:
    values = sql_store(tmp_path / "edits.db").pool().take(None)
    assert values == {"u": [], "v": []}


def test_a_forked_child_has_connections_of_its_own(tmp_path: Path) -> None:
    store = sql_store(tmp_path / "edits.db")
    add(store, 0)
    child = os.fork()
    if child == 0:
        try:
            add(store, 1)
            store.revoke("edit-0")
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert in_force(store) == ["edit-1"]


@pytest.mark.parametrize(
    ("location", "match"),
    [
        ("nothing.db", "does not exist"),
        ("folder/nothing.db", "does not exist"),
        ("mysql://somewhere/x", "SQLite or PostgreSQL"),
        ("://", "no URL"),
        ("postgresql://nobody:secret@127.0.0.1:9/none", "cannot be reached"),
        ("empty.db", "holds no store"),
        ("text.db", "not a database"),
    ],
)
def test_no_store(location: str, match: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    sqlite3.connect("empty.db").execute("CREATE TABLE t (x)").connection.close()
    (tmp_path / "text.db").write_text("no database at all, but some text " * 100)
    with pytest.raises(StoreUnusable, match=match) as raised:
        EditLog(location)
    assert "secret" not in str(raised.value)
