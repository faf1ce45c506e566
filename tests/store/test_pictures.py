"""Pictures that a store keeps: as they were given, each once, within limits."""

import io
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from liveedit.correction.images import Pictures, image_identity, open_image, pictures_identity
from liveedit.errors import BadImport, StoreError
from liveedit.store.adding_pictures import add_pictures, picture_files
from liveedit.store.check import check_store
from liveedit.store.database import Database
from liveedit.store.export import export_edits, identity_of_export, import_edits
from liveedit.store.log import EditLog
from liveedit.store.log_reader import LogReader
from liveedit.store.memory import MemoryStore
from liveedit.store.picture_rules import Keep, PictureRules
from liveedit.store.recalled import recall
from liveedit.store.sql import SqlStore

from .samples import IDENTITY, LAYOUT, edit_of, sql_store, tensors_of
from .test_migrations import made_at
from .test_sql import location

__all__ = ["location"]


def photo(number: int, *, kind: str = "JPEG") -> bytes:
    random = np.random.default_rng(number)
    picture = Image.fromarray(random.integers(0, 256, (6, 8, 3), np.uint8)).resize((320, 240))
    written = io.BytesIO()
    picture.save(written, kind)
    return written.getvalue()


def keep(store: MemoryStore | SqlStore, number: int, pictures: Pictures, **fields: object) -> str:
    """Add an edit about a picture; the identity it is known by."""
    image = pictures_identity(pictures)
    assert image is not None
    edit = edit_of(number, image=image, **fields)
    store.add([edit], *tensors_of([number]), [pictures])
    return image


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> MemoryStore | SqlStore:
    if request.param == "memory":
        return MemoryStore(LAYOUT)
    postgresql = request.param == "postgresql"
    return sql_store(request.getfixturevalue("postgresql") if postgresql else tmp_path / "a.db")


def test_a_file_is_kept_as_it_was_given(store: MemoryStore | SqlStore) -> None:
    data = photo(0)
    image = keep(store, 0, open_image(data))
    assert store.files(image) == (data,)
    assert store.thumbnail(image) is not None
    assert image_identity(open_image(store.files(image)[0])) == image
    assert store.files("another") == ()


def test_what_was_no_file_is_kept_without_loss(store: MemoryStore | SqlStore) -> None:
    opened = open_image(photo(0))
    drawn_on = open_image(photo(1))
    drawn_on.putpixel((0, 0), (1, 2, 3))
    for number, picture in enumerate(
        (opened.crop((0, 0, 50, 50)), Image.new("RGB", (20_000, 2), "red"), drawn_on)
    ):
        image = keep(store, number, picture)
        (kept,) = store.files(image)
        assert image_identity(open_image(kept)) == image


def test_the_same_picture_is_kept_once(location: str) -> None:
    store = sql_store(location)
    first, second = photo(0), photo(0, kind="PNG")
    image = keep(store, 0, open_image(first))
    keep(store, 1, open_image(first), namespace="other")
    pixels = Image.open(io.BytesIO(first)).convert("RGB")
    assert keep(store, 2, pixels) == image
    other = keep(store, 3, open_image(second))
    use = store.log.picture_use()
    assert (use.kept, use.bytes) == (2, len(first) + len(second))
    assert (use.edits, use.without) == (4, 0)
    assert store.files(image) == (first,)
    assert sql_store(location).files(other) == (second,)


def test_several_pictures_come_back_in_their_order(store: MemoryStore | SqlStore) -> None:
    files = [photo(number) for number in (2, 0, 1)]
    image = keep(store, 0, [open_image(data) for data in files])
    assert store.files(image) == tuple(files)
    assert [image_identity(open_image(data)) for data in files] == list(store.parts(image))
    alone = keep(store, 1, open_image(files[1]))
    assert store.files(alone) == (files[1],)
    again = recall(store, store.get("edit-0"))
    assert again.shown == "whole"
    assert pictures_identity(again.correction.image) == image


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        (PictureRules(keep=Keep.off), 0),
        (PictureRules(each=100), 0),
        (PictureRules(total=1), 0),
        (PictureRules(total=len(photo(0)) + len(photo(1))), 2),
    ],
    ids=["off", "each", "none", "two"],
)
@pytest.mark.parametrize("lasting", [False, True])
def test_beyond_a_limit_there_is_a_thumbnail_alone(
    tmp_path: Path, rules: PictureRules, kept: int, lasting: bool
) -> None:
    store: MemoryStore | SqlStore = MemoryStore(LAYOUT, pictures=rules)
    if lasting:
        store = SqlStore(tmp_path / "a.db", IDENTITY, pictures=rules)
        assert EditLog(tmp_path / "a.db").picture_rules == rules
    images = [keep(store, number, open_image(photo(number))) for number in range(3)]
    assert sum(bool(store.files(image)) for image in images) == kept
    assert all(store.thumbnail(image) for image in images)
    assert len(store.edits) == 3


def test_pixels_alone_lose_what_the_file_tells_beside_them(tmp_path: Path) -> None:
    picture = Image.new("RGB", (8, 8), "red")
    told = Image.Exif()
    told[0x010E] = "taken at home"
    written = io.BytesIO()
    picture.save(written, "JPEG", exif=told)
    store = SqlStore(tmp_path / "a.db", IDENTITY, pictures=PictureRules(keep=Keep.pixels))
    image = keep(store, 0, open_image(written.getvalue()))
    assert b"taken at home" in written.getvalue()
    assert b"taken at home" not in store.files(image)[0]
    assert image_identity(open_image(store.files(image)[0])) == image


def test_rules_are_the_stores_and_are_followed_by_who_has_it_open(location: str) -> None:
    store = sql_store(location)
    assert store.log.picture_rules == PictureRules()
    other = EditLog(location)
    other.set_picture_rules(PictureRules(keep=Keep.off))
    assert store.files(keep(store, 0, open_image(photo(0)))) == ()
    other.set_picture_rules(PictureRules())
    assert store.files(keep(store, 1, open_image(photo(1)))) == (photo(1),)
    with pytest.raises(StoreError, match="0 or more"):
        PictureRules(each=-1)
    with pytest.raises(StoreError, match="does not say"):
        PictureRules.from_json({"keep": "sometimes"})


def test_an_older_store_goes_on_as_it_was_until_it_is_told(location: str) -> None:
    made_at(location, "0004")
    old = LogReader(Database(location), IDENTITY)
    assert old.picture_rules.keep is Keep.off
    assert (old.files("x"), old.parts("x"), old.without_files(["x"])) == ((), ("x",), ["x"])
    assert old.picture_use().kept == 0
    store = sql_store(location)
    image = keep(store, 3, open_image(photo(0)))
    assert store.files(image) == ()
    store.log.set_picture_rules(PictureRules())
    keep(store, 4, open_image(photo(0)), namespace="other")
    assert store.files(image) == (photo(0),)
    assert check_store(store.log).clean


def test_nothing_of_a_transaction_that_breaks_off_is_kept(store: MemoryStore | SqlStore) -> None:
    picture = open_image(photo(0))
    image = image_identity(picture)

    def break_off() -> None:
        with store.transaction():
            keep(store, 0, picture)
            assert store.files(image) == (photo(0),)
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        break_off()
    with store.transaction(keep=False):
        keep(store, 0, picture)
    with store.transaction():
        keep(store, 1, open_image(photo(1)))
    assert store.files(image) == ()


def test_damage_is_found_and_the_thumbnail_serves(tmp_path: Path) -> None:
    location = tmp_path / "a.db"
    store = sql_store(location)
    image = keep(store, 0, open_image(photo(0)))
    other = keep(store, 1, open_image(photo(1)))
    report = check_store(store.log)
    assert (report.clean, report.pictures) == (True, 2)
    with sqlite3.connect(location) as connection:
        connection.execute("UPDATE files SET data = ? WHERE picture = ?", (photo(2), image))
    (problem,) = check_store(store.log).problems
    assert image in problem
    assert store.files(image) == ()
    assert recall(store, store.get("edit-0")).shown == "thumbnail"
    assert store.log.drop_files("damaged") == 1
    assert check_store(store.log).clean
    assert store.files(other) == (photo(1),)


def test_pictures_that_only_revoked_edits_have_can_be_dropped(location: str) -> None:
    store = sql_store(location)
    two = [open_image(photo(0)), open_image(photo(1))]
    keep(store, 0, two)
    alone = keep(store, 1, two[0])
    gone = keep(store, 3, open_image(photo(2)))
    store.revoke("edit-0")
    store.revoke("edit-3")
    assert store.log.drop_files("unused") == 2
    assert store.files(alone) == (photo(0),)
    assert store.files(gone) == ()
    store.restore("edit-3")
    assert recall(store, store.get("edit-3")).shown == "thumbnail"
    store.restore("edit-0")
    assert recall(store, store.get("edit-0")).correction is None
    assert store.log.drop_files("all") == 1
    assert check_store(store.log).clean


def test_an_export_carries_them_unless_it_shall_not(location: str, tmp_path: Path) -> None:
    store = sql_store(location)
    two = keep(store, 0, [open_image(photo(0)), open_image(photo(1, kind="PNG"))])
    one = keep(store, 1, open_image(photo(0)))
    out = tmp_path / "out"
    export_edits(store.log, out)
    assert {path.suffix for path in (out / "files").iterdir()} == {".jpg", ".png"}
    assert len(list((out / "files").iterdir())) == 2
    fresh = EditLog(tmp_path / "fresh.db", identity_of_export(out))
    assert import_edits(fresh, out) == (2, 0)
    assert fresh.files(two) == (photo(0), photo(1, kind="PNG"))
    assert fresh.files(one) == (photo(0),)
    assert check_store(fresh).clean
    thumbnails = EditLog(
        tmp_path / "off.db", identity_of_export(out), pictures=PictureRules(keep=Keep.off)
    )
    import_edits(thumbnails, out)
    assert thumbnails.files(one) == ()
    assert thumbnails.thumbnail(one) is not None
    export_edits(store.log, tmp_path / "small", files=False)
    assert not (tmp_path / "small" / "files").exists()


def test_a_picture_of_an_export_that_is_damaged_or_missing_is_told(tmp_path: Path) -> None:
    store = sql_store(tmp_path / "a.db")
    keep(store, 0, [open_image(photo(0)), open_image(photo(1))])
    out = tmp_path / "out"
    export_edits(store.log, out)
    (path, *_) = (out / "files").iterdir()
    for break_it in (lambda: path.write_bytes(b"no picture"), path.unlink):
        break_it()
        fresh = EditLog(tmp_path / "b.db", identity_of_export(out))
        with pytest.raises(BadImport, match=path.name):
            import_edits(fresh, out)
        assert fresh.entries() == []


def test_pictures_are_found_again_by_their_pixels(location: str, tmp_path: Path) -> None:
    store = SqlStore(location, IDENTITY, pictures=PictureRules(keep=Keep.off))
    one = keep(store, 0, open_image(photo(0)))
    two = keep(store, 1, [open_image(photo(1)), open_image(photo(2))])
    keep(store, 3, open_image(photo(3)))
    folder = tmp_path / "pictures"
    (folder / "deep").mkdir(parents=True)
    for number in (0, 1, 2, 9):
        (folder / "deep" / f"{number}.jpg").write_bytes(photo(number))
    (folder / "notes.txt").write_text("no picture")
    files = picture_files(folder)
    with pytest.raises(BadImport, match="--keep files"):
        add_pictures(store.log, files)
    store.log.set_picture_rules(PictureRules())
    looked: list[int] = []
    assert add_pictures(store.log, files, progress=looked.append) == 3
    assert sum(looked) == 5
    assert store.files(one) == (photo(0),)
    assert store.files(two) == (photo(1), photo(2))
    assert store.log.picture_use().without == 1
    assert add_pictures(store.log, files) == 0
    with pytest.raises(BadImport, match="no folder"):
        picture_files(folder / "none")


def test_the_same_model_in_other_numbers_opens_with_a_warning(location: str) -> None:
    store = sql_store(location)
    keep(store, 0, open_image(photo(0)))
    assert store.log.warning is None
    for change in ({"dtype": "bfloat16"}, {"dtype": "float32, quanto", "processor": "pil"}):
        other = replace(IDENTITY, fingerprint=IDENTITY.fingerprint | change)
        again = SqlStore(location, other)
        assert "liveedit edit verify" in again.log.warning
        assert again.log.identity == IDENTITY
        assert [edit.id for edit in again.edits] == ["edit-0"]
