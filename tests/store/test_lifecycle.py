"""A store against a plain model of it, by random sequences of everything that can be done."""

import shutil
import tempfile
from pathlib import Path

import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from liveedit.store.check import check_store
from liveedit.store.memory import MemoryStore
from liveedit.store.sql import SqlStore

from .samples import add, equal, memory_store, sql_store, tensors_of

SPACES = ("", "a", "b")


class Lifecycle(RuleBasedStateMachine):
    """The model: the changes as a list; what was in force is worked out from it every time."""

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[tuple[str, list[tuple[str, str, tuple[str, ...]]] | str]] = []
        self.count = 0
        self.folder: Path | None = None

    @initialize(lasting=st.booleans(), index=st.booleans())
    def open(self, lasting: bool, index: bool) -> None:
        self.exact = 2 if index else 10_000
        if lasting:
            self.folder = Path(tempfile.mkdtemp())
        self.store: MemoryStore | SqlStore = memory_store() if not lasting else self.lasting()

    def lasting(self) -> SqlStore:
        assert self.folder is not None
        return sql_store(self.folder / "edits.db", exact=self.exact)

    def expected(self, revision: int, space: str | None = None) -> set[str]:
        told: dict[str, tuple[str, tuple[str, ...]]] = {}
        gone: set[str] = set()
        for kind, what in self.changes[:revision]:
            if kind == "add":
                told |= {edit: (where, superseded) for edit, where, superseded in what}
            elif kind == "revoke":
                gone.add(what)
            else:
                gone.remove(what)
        there = told.keys() - gone
        superseded = {one for edit in there for one in told[edit][1]}
        return {e for e in there - superseded if space is None or told[e][0] == space}

    def names(self, revoked: bool) -> list[str]:
        gone: set[str] = set()
        for kind, what in self.changes:
            (gone.add if kind == "revoke" else gone.discard)(what if kind != "add" else "")
        known = {e for kind, what in self.changes if kind == "add" for e, _, _ in what}
        return sorted(known & gone if revoked else known - gone)

    @rule(count=st.integers(1, 3), space=st.sampled_from(SPACES), kept=st.booleans())
    def add(self, count: int, space: str, kept: bool) -> None:
        numbers = range(self.count, self.count + count)
        with self.store.transaction(keep=kept):
            edits = add(self.store, *numbers, namespace=space)
        if kept:
            self.count += count
            self.changes.append(("add", [(edit.id, space, ()) for edit in edits]))

    @precondition(lambda self: self.names(revoked=False))
    @rule(data=st.data(), kept=st.booleans())
    def supersede(self, data: st.DataObject, kept: bool) -> None:
        some = st.lists(st.sampled_from(self.names(revoked=False)), max_size=3, unique=True)
        gone = tuple(data.draw(some))
        with self.store.transaction(keep=kept):
            (edit,) = add(self.store, self.count, supersedes=gone)
        if kept:
            self.count += 1
            self.changes.append(("add", [(edit.id, "", gone)]))

    @precondition(lambda self: self.names(revoked=False))
    @rule(data=st.data())
    def revoke(self, data: st.DataObject) -> None:
        edit = data.draw(st.sampled_from(self.names(revoked=False)))
        assert self.store.revoke(edit).id == edit
        self.changes.append(("revoke", edit))

    @precondition(lambda self: self.names(revoked=True))
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        edit = data.draw(st.sampled_from(self.names(revoked=True)))
        assert self.store.restore(edit).id == edit
        self.changes.append(("restore", edit))

    @precondition(lambda self: self.folder is not None)
    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = self.lasting()

    @precondition(lambda self: self.folder is not None)
    @rule()
    def compact_and_check(self) -> None:
        self.store.log.database.compact()
        assert check_store(self.store.log).clean

    @rule(data=st.data(), space=st.sampled_from(SPACES))
    def look_back(self, data: st.DataObject, space: str) -> None:
        revision = data.draw(st.integers(0, len(self.changes)))
        pool = self.store.pool(namespaces=[space], revision=revision)
        rows = pool.eligible[0].nonzero().flatten().tolist()
        assert {pool.ids[row] for row in rows} == self.expected(revision, space)
        assert {edit.id for edit in self.store.edits_at(revision)} == self.expected(revision)

    @rule(space=st.sampled_from(SPACES))
    def query(self, space: str) -> None:
        pool = self.store.pool(namespaces=[space])
        rows = pool.eligible[0].nonzero().flatten()
        names = [pool.ids[row] for row in rows.tolist()]
        assert set(names) == self.expected(len(self.changes), space)
        if names:
            keys, values = tensors_of([int(name.removeprefix("edit-")) for name in names])
            assert equal(pool.take(rows)["v"], values["v"])
            assert torch.equal(pool.keys.whole.vectors["prompt"][rows], keys.vectors["prompt"])
            near = pool.near(keys)
            found = near.eligible[0].nonzero().flatten().tolist()
            assert {near.ids[row] for row in found} == set(names)

    @invariant()
    def counts_its_revisions(self) -> None:
        assert self.store.revision == len(self.changes)

    def teardown(self) -> None:
        if self.folder is not None:
            self.store.close()
            shutil.rmtree(self.folder)


TestLifecycle = Lifecycle.TestCase
TestLifecycle.settings = settings(
    max_examples=20,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
