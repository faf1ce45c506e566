"""Files that appear whole or not at all."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from liveedit.saving.files import whole, write_whole


def forked(work: Callable[[], object]) -> int:
    """Number of a process that does some work and ends."""
    process = os.fork()
    if process == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return process


def test_a_file_is_in_its_place_when_all_was_written(tmp_path: Path) -> None:
    file = tmp_path / "a.tensors"
    file.write_bytes(b"before")
    with whole(file) as part:
        part.write_bytes(b"half")
        assert file.read_bytes() == b"before"
        part.write_bytes(b"half and half")
    assert file.read_bytes() == b"half and half"
    assert list(tmp_path.iterdir()) == [file]


def test_a_text_is_utf_8(tmp_path: Path) -> None:
    write_whole(tmp_path / "a.txt", "ä")
    assert (tmp_path / "a.txt").read_bytes() == "ä".encode()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_what_fails_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    file = tmp_path / "a.txt"
    file.write_text("before")

    def fail() -> None:
        with whole(file) as part:
            part.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]


def test_what_cannot_be_written_says_why(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "no" / "a.txt", "text")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        write_whole(tmp_path / "file" / "a.txt", "text")


def test_files_that_differ_in_their_ending_alone_do_not_meet(tmp_path: Path) -> None:
    with whole(tmp_path / "a.json") as one, whole(tmp_path / "a.tensors") as other:
        one.write_text("one")
        other.write_text("other")
    assert (tmp_path / "a.json").read_text() == "one"
    assert (tmp_path / "a.tensors").read_text() == "other"


def test_a_kill_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("before")

    def die() -> None:
        with whole(file) as part:
            part.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)

    status = os.waitpid(forked(die), 0)[1]
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert file.read_text() == "before"
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".part", ".txt"]
    write_whole(file, "after")
    assert file.read_text() == "after"


def test_processes_write_at_once(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    texts = [letter * 100_000 for letter in "abcd"]
    write_whole(file, texts[0])

    def again(text: str) -> None:
        for _ in range(50):
            write_whole(file, text)
            assert file.read_text() in texts

    processes = [forked(lambda text=text: again(text)) for text in texts]
    assert [os.waitpid(process, 0)[1] for process in processes] == [0] * len(texts)
    assert list(tmp_path.iterdir()) == [file]
