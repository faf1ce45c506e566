"""Flipped bits, foreign rows, full disks and folders that may only be read."""

import os
import resource
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from liveedit.errors import DamagedEdit, StoreFull, StoreReadOnly, StoreUnusable
from liveedit.store.check import check_store
from liveedit.store.checksums import checksum, edit_checksum
from liveedit.store.log import EditLog
from tests.store.samples import (
    FEATURES,
    RANK,
    WIDTH,
    add,
    edit_of,
    equal,
    in_force,
    sql_store,
    tensors_of,
)


@pytest.fixture
def location(tmp_path: Path) -> Path:
    """A store with edits 0 to 4, of which the second superseded the first."""
    store = sql_store(tmp_path / "edits.db")
    add(store, 0)
    add(store, 1, supersedes=("edit-0",))
    add(store, 2, 3, 4)
    store.close()
    return tmp_path / "edits.db"


def change(location: Path, statement: str, *values: object) -> None:
    with sqlite3.connect(location) as connection:
        assert connection.execute(statement, values).rowcount == 1
    connection.close()


def flipped(data: bytes, byte: int = -3) -> bytes:
    changed = bytearray(data)
    changed[byte] ^= 1
    return bytes(changed)


def blob(location: Path, table: str, column: str) -> bytes:
    with sqlite3.connect(location) as connection:
        query = f"SELECT {column} FROM {table} WHERE number = 2"
        return connection.execute(query).fetchone()[0]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("target", "another answer"),
        ("prompt", "another question?"),
        ("author", "eve"),
        ("supersedes", '["edit-0", "edit-2"]'),
        ("created", "2001-01-01T00:00:00+00:00"),
        ("created", "no date"),
        ("supersedes", "no json"),
        ("fingerprint", "another"),
        ("namespace", "b"),
        ("digest", "0"),
        ("id", "edit-3x"),
        ("expert_checksum", "0"),
        ("checksum", "0"),
    ],
)
def test_an_edit_that_was_changed_is_left_out_and_the_rest_serve(
    location: Path, column: str, value: str
) -> None:
    change(location, f"UPDATE edits SET {column} = ? WHERE number = 2", value)
    store = sql_store(location)
    assert [*store.damaged] == [value if column == "id" else "edit-1"]
    assert {"edit-3", "edit-4"} <= set(in_force(store)) <= {"edit-0", "edit-2", "edit-3", "edit-4"}
    if column != "supersedes":
        assert "edit-0" not in in_force(store), "an outdated answer must not come back"
    report = check_store(store.log)
    assert not report.clean
    assert all(f"edit {name}:" in " ".join(report.problems) for name in store.damaged)
    assert not check_store(EditLog(location)).clean
    states = {entry.edit.id: entry.state for entry in store.log.entries()}
    assert "damaged" in states.values()
    with pytest.raises(DamagedEdit, match="revoke it"):
        store.get(next(iter(store.damaged)))
    add(store, 9)
    assert "edit-9" in in_force(store)


def test_flipped_bits_in_features_are_found_when_the_store_is_opened(location: Path) -> None:
    data = flipped(blob(location, "edits", "features"))
    change(location, "UPDATE edits SET features = ? WHERE number = 2", data)
    store = sql_store(location)
    assert [*store.damaged] == ["edit-1"]
    assert in_force(store) == ["edit-2", "edit-3", "edit-4"]


def test_flipped_bits_in_an_expert_are_found_when_it_is_wanted(location: Path) -> None:
    change(
        location,
        "UPDATE experts SET tensors = ? WHERE number = 2",
        flipped(blob(location, "experts", "tensors")),
    )
    store = sql_store(location)
    assert store.damaged == {}
    pool = store.pool()
    assert equal(pool.take(torch.tensor([2, 3]))["u"], tensors_of([2, 3])[1]["u"])
    with pytest.raises(DamagedEdit) as raised:
        pool.take(torch.tensor([2, 1]))
    assert raised.value.edit_id == "edit-1"
    assert [*store.damaged] == ["edit-1"]
    assert in_force(store) == ["edit-2", "edit-3", "edit-4"]
    assert store.pool(revision=2).eligible.sum() == 0
    assert [problem.split(":")[0] for problem in check_store(store.log).problems] == ["edit edit-1"]
    change(location, "DELETE FROM experts WHERE number = ?", 4)
    assert len(check_store(store.log).problems) == 2


_GOOD = {"u": torch.ones(RANK, WIDTH), "v": torch.ones(RANK, WIDTH)}
_NAN = torch.full((RANK, WIDTH), float("nan"))


@pytest.mark.parametrize(
    "data",
    [
        save(_GOOD | {"v": _NAN}),
        save({"u": _GOOD["u"]}),
        save(_GOOD | {"w": torch.ones(1)}),
        save(_GOOD | {"v": torch.ones(RANK, WIDTH + 1)}),
        save(_GOOD | {"v": torch.ones(RANK, WIDTH, dtype=torch.float64)}),
        save(_GOOD)[:-4],
        b"",
        b"\x80\x04not safetensors at all",
    ],
    ids=["nan", "missing", "more", "shape", "dtype", "cut off", "empty", "pickle"],
)
def test_bytes_that_are_no_expert_are_refused_even_with_a_right_checksum(
    location: Path, data: bytes
) -> None:
    with sqlite3.connect(location) as connection:
        sums = connection.execute("SELECT features_checksum FROM edits WHERE number = 5").fetchone()
    whole = edit_checksum_of(location, 5, sums[0], checksum(data))
    change(location, "UPDATE experts SET tensors = ? WHERE number = 5", data)
    change(
        location,
        "UPDATE edits SET expert_checksum = ?, checksum = ? WHERE number = 5",
        checksum(data),
        whole,
    )
    store = sql_store(location)
    assert store.damaged == {}
    with pytest.raises(DamagedEdit, match="edit-4"):
        store.pool().take(torch.tensor([4]))
    assert in_force(store) == ["edit-1", "edit-2", "edit-3"]
    assert len(check_store(store.log).problems) == 1


def edit_checksum_of(location: Path, number: int, *sums: str) -> str:
    log = EditLog(location)
    (row,) = log.stored([f"edit-{number - 1}"])
    return edit_checksum(row.edit, *sums)


def test_features_of_another_length_are_refused(location: Path) -> None:
    data = save({"vision": torch.ones(FEATURES + 1), "prompt": torch.ones(FEATURES)})
    with sqlite3.connect(location) as connection:
        weights = connection.execute(
            "SELECT expert_checksum FROM edits WHERE number = 5"
        ).fetchone()
    whole = edit_checksum_of(location, 5, checksum(data), weights[0])
    change(
        location,
        "UPDATE edits SET features = ?, features_checksum = ?, checksum = ? WHERE number = 5",
        data,
        checksum(data),
        whole,
    )
    assert [*sql_store(location).damaged] == ["edit-4"]


def test_a_damaged_page_costs_its_edits_alone(tmp_path: Path) -> None:
    location = tmp_path / "edits.db"
    store = sql_store(location)
    add(store, *range(300))
    store.log.database.compact()
    store.close()
    page = 16384
    data = bytearray(location.read_bytes())
    marks = [at for at in range(0, len(data), page) if b"question 150?" in data[at : at + page]]
    assert marks
    for at in marks:
        data[at : at + 8] = b"\xff" * 8
    location.write_bytes(data)
    store = sql_store(location)
    names = set(in_force(store))
    assert 200 < len(names) < 300
    assert "edit-150" not in names
    assert store.damaged
    assert not check_store(store.log).clean


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A file system of its own, if we may mount one."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True
    )
    if done.returncode:
        pytest.skip("file systems may not be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    with small_disk(tmp_path, "600k"):
        fill(tmp_path / "edits.db")


def test_a_file_that_may_not_grow_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    import signal

    location = tmp_path / "edits.db"
    sql_store(location).close()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, limits[1]))
    try:
        fill(location)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def fill(location: Path) -> None:
    store = sql_store(location)
    number = 0

    def go_on() -> None:
        nonlocal number
        for number in range(0, 10_000, 5):
            add(store, *range(number, number + 5))

    with pytest.raises(StoreFull, match="nothing was changed"):
        go_on()
    assert number > 0
    known = [f"edit-{one}" for one in range(number)]
    assert in_force(store) == known
    assert store.pool().eligible.shape == (1, number)
    assert in_force(sql_store(location)) == known
    assert check_store(store.log).clean


def test_what_may_only_be_read_serves_and_says_so_when_written(location: Path) -> None:
    folder = location.parent
    if os.geteuid() == 0:  # whom permissions do not stop
        done = subprocess.run(["mount", "--bind", folder, folder], capture_output=True)
        if done.returncode:
            pytest.skip("file systems may not be mounted here")
        options = ["mount", "-o", "remount,ro,bind", folder]
        subprocess.run(options, check=True, capture_output=True)
    else:
        folder.chmod(0o555)
    try:
        store = sql_store(location)
        assert in_force(store) == ["edit-1", "edit-2", "edit-3", "edit-4"]
        assert equal(store.pool().take(torch.tensor([2]))["u"], tensors_of([2])[1]["u"])
        for write in (lambda: add(store, 9), lambda: store.revoke("edit-2")):
            with pytest.raises(StoreReadOnly, match="write permission"):
                write()
        assert in_force(store) == ["edit-1", "edit-2", "edit-3", "edit-4"]
        with pytest.raises((StoreReadOnly, StoreUnusable)):
            sql_store(folder / "new.db")
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", "-l", folder], check=True)
        else:
            folder.chmod(0o755)


def test_an_edit_of_the_samples_is_what_it_says() -> None:
    assert edit_of(1).digest != edit_of(1, target="x").digest != edit_of(1, image=None).digest
